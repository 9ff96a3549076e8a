"""What all stages share: their components, their prompts, what is found wrong before anything is spent."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from jurist.artifacts import Artifacts, StageArtifact
from jurist.assembly import Assembly
from jurist.chat import ChatRequest, Sampling
from jurist.constitution import Constitution, Principle
from jurist.contracts import Contract
from jurist.engine.engine import Engine
from jurist.errors import UsageError
from jurist.events import Events
from jurist.files.prompts import load_prompts, selected
from jurist.files.record_file import RecordFile
from jurist.judges.orders import InOrders
from jurist.recipe import Recipe, resolve_path
from jurist.records import Prompt, content_id
from jurist.stage_settings import Principles, PromptSource, Reference
from jurist.stages.surroundings import Surroundings
from jurist.training.worker import TrainerWorker

Work = Callable[[Any], Coroutine[Any, Any, Any]]
"""What a stage does with one item: it makes all calls about it."""


class ComponentUse(NamedTuple):
    """A component that a stage uses: where the recipe says so, the role it plays, and what it refers to."""

    where: str
    kind: str
    reference: Reference


@dataclass
class StageContext:
    """The surroundings of a stage while a run executes."""

    recipe: Recipe
    constitution: Constitution
    artifacts: Artifacts
    engine: Engine
    assembly: Assembly
    events: Events
    worker: TrainerWorker


@dataclass
class StageResult:
    """What a stage made: facts for ``summary.json`` and, where it makes one, its artifact.

    The artifact's fingerprint is filled in by the run. ``faults`` say why nothing came of the stage,
    where nothing did (every call failed): then it is not finished.
    """

    summary: dict[str, Any] = field(default_factory=dict)
    artifact: StageArtifact | None = None
    faults: tuple[str, ...] = ()


class Stage(ABC):
    """One stage of a recipe."""

    def __init__(self, settings: Any, recipe: Recipe) -> None:
        self.settings = settings
        self.recipe = recipe
        self.name: str = settings.name
        self._prompts: RecordFile[Prompt] | None = None

    @abstractmethod
    def references(self) -> list[ComponentUse]:
        """Every component it uses."""

    @abstractmethod
    def makes(self) -> StageArtifact | None:
        """The artifact it will hand on, without a path yet; None when it makes none."""

    @abstractmethod
    def work(self, surroundings: Surroundings) -> Work | None:
        """What is done with each item, by components of ``surroundings``; None when it makes no calls."""

    @abstractmethod
    async def execute(self, context: StageContext, folder: Path) -> StageResult:
        """Do the work, writing only into ``folder``; called again, it continues."""

    def build(
        self,
        surroundings: Surroundings,
        kind: str,
        reference: Reference,
        place: str,
        orders: InOrders | None = None,
    ) -> Contract:
        """The component or artifact behind a setting; ``place`` is where in its settings that stands."""
        component = surroundings.artifacts.component(reference)
        return surroundings.assembly.build(kind, component, f"stages.{self.name}.{place}", orders)

    def inputs(self) -> list[str]:
        """The artifacts it reads, by name."""
        return [use.reference for use in self.references() if isinstance(use.reference, str)]

    def input_files(self) -> list[Path]:
        """The files it reads, so that a change in them makes it run again."""
        source = self.prompt_source()
        return [resolve_path(source.path)] if source else []

    def prompt_source(self) -> PromptSource | None:
        """Where its prompts come from: its own setting, else the recipe's."""
        source = self.settings.prompts or self.recipe.prompts
        return PromptSource.of(source) if source else None

    def prompts(self) -> RecordFile[Prompt]:
        """Its prompts, filtered by tags and limited.

        Raises:
            UsageError: the file is missing or faulty.
        """
        if self._prompts is None:
            source = self.prompt_source()
            assert source is not None, "faults() comes first"

            def keep(prompt: Prompt) -> bool:
                narrowed = selected(prompt, self.settings.tags, self.settings.without_tags)
                return narrowed and source.keeps(prompt)

            with naming(f"stages.{self.name}.prompts" if self.settings.prompts else "recipe.prompts"):
                self._prompts = load_prompts(resolve_path(source.path), keep=keep, limit=source.limit)
        return self._prompts

    def records(self) -> RecordFile[Any]:
        """The records of its input file."""
        return self.prompts()

    def items(self, records: Iterable[Any]) -> Iterable[Any]:
        """What it does its work on, given records of its input file."""
        return records

    def comparisons_made(self) -> int:
        """How many comparisons it labels, at most."""
        return 0

    def goes_by_verdicts(self) -> bool:
        """Whether verdicts say what is asked next, and so how many calls there are."""
        return False

    def faults(self) -> list[str]:
        """Faults of its settings that need the input files to be seen."""
        if self.prompt_source() is None:
            return [f"stages.{self.name}: no prompts; set 'prompts:' in the recipe or in the stage"]
        if not self.prompts():
            return [f"stages.{self.name}: no prompt is left after its filters (tags, without_tags, part)"]
        return []

    def faults_in(self, folder: Path) -> list[str]:
        """Why it cannot be carried out in the run's ``folder``, in which nothing was touched yet."""
        return []

    def gate(self, summary: dict[str, Any]) -> None:  # noqa: B027 - most stages let every run go on
        """Asked of a finished stage, whether in this attempt or in an earlier one: may the run go on?

        Raises:
            GateStop: it may not.
        """

    def first_requests(self) -> Iterator[ChatRequest]:
        """What the policy that the run starts from will be asked, as far as it is known beforehand."""
        if any(u.kind == "generator" and u.reference in ("policy", "base") for u in self.references()):
            for prompt in self.prompts():
                yield ChatRequest(messages=prompt.messages, sampling=self.settings.sampling)

    def seed(self, *parts: Any) -> int:
        """A seed below 2³¹ that depends on the recipe's seed and ``parts`` alone."""
        return int(content_id(self.recipe.seed, *parts), 16) % 2**31

    def sampling(self, prompt: Prompt, number: int) -> Sampling:
        """How a response to a prompt is sampled: each ``number`` has a seed of its own."""
        sampling: Sampling = self.settings.sampling
        return sampling.model_copy(update={"seed": self.seed(self.name, prompt.id, number)})


@contextmanager
def naming(setting: str) -> Iterator[None]:
    """Have what is wrong with a file begin with the setting that names the file."""
    try:
        yield
    except UsageError as error:
        error.what = f"{setting}: {error.what}"
        raise


def choose_principles(constitution: Constitution, how: Principles, seed: str) -> tuple[Principle, ...]:
    """All principles, none, or the one that ``seed`` samples."""
    if how == "none":
        return ()
    return constitution.principles if how == "all" else (constitution.sample(seed),)


def tally(counts: Counter[str]) -> dict[str, int]:
    """The counts as a plain dict, largest first."""
    return dict(counts.most_common())
