"""What all stages share: their surroundings, their prompts, their check before anything is spent."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Protocol

from jurist.artifacts import Artifacts, StageArtifact
from jurist.assembly import Assembly
from jurist.chat import ChatRequest
from jurist.constitution import Constitution, Principle
from jurist.contracts import Contract
from jurist.engine.engine import Engine
from jurist.events import Events
from jurist.files.prompts import in_part, load_prompts, selected
from jurist.files.record_file import RecordFile
from jurist.judges.orders import InOrders
from jurist.recipe import Recipe, resolve_path
from jurist.records import Prompt, content_id
from jurist.stage_settings import Principles, PromptSource, Reference
from jurist.training.workers import TrainerWorker

Work = Callable[[Any], Coroutine[Any, Any, Any]]
"""What a stage does with one item: it makes all calls about it."""


class Builder(Protocol):
    """Builds components; an :class:`Assembly` does."""

    def build(
        self, kind: str, reference: Reference, where: str = "", orders: InOrders | None = None
    ) -> Contract:
        """A component that plays the role ``kind``, a judge in these presentation orders."""


class Surroundings(Protocol):
    """What the work of a stage is made of; a :class:`StageContext`, or a plan's rehearsal."""

    @property
    def constitution(self) -> Constitution:
        """What its components go by."""

    @property
    def artifacts(self) -> Artifacts:
        """What earlier stages hand on."""

    @property
    def assembly(self) -> Builder:
        """Where its components come from."""


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

    Settings: ClassVar[type[Any]]

    def __init__(self, settings: Any, recipe: Recipe) -> None:
        self.settings = settings
        self.recipe = recipe
        self.name: str = settings.name
        self._prompts: RecordFile[Prompt] | None = None

    @abstractmethod
    def references(self) -> list[tuple[str, str, Any]]:
        """Every component it uses: (where in the recipe, kind, reference)."""

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
        return [ref for _, _, ref in self.references() if isinstance(ref, str)]

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
            assert source is not None, "check() comes first"

            def keep(prompt: Prompt) -> bool:
                narrowed = selected(prompt, self.settings.tags, self.settings.without_tags)
                wanted = narrowed and selected(prompt, source.tags, source.without_tags)
                return wanted and in_part(prompt, source.part)

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

    def check(self) -> list[str]:
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
        if any(kind == "generator" and ref in ("policy", "base") for _, kind, ref in self.references()):
            for prompt in self.prompts():
                yield ChatRequest(messages=prompt.messages, sampling=self.settings.sampling)

    def seed(self, *parts: Any) -> int:
        """A seed below 2³¹ that depends on the recipe's seed and ``parts`` alone."""
        return int(content_id(self.recipe.seed, *parts), 16) % 2**31


def choose_principles(constitution: Constitution, how: Principles, seed: str) -> tuple[Principle, ...]:
    """All principles, none, or the one that ``seed`` samples."""
    if how == "none":
        return ()
    return constitution.principles if how == "all" else (constitution.sample(seed),)


def tally(counts: Counter[str]) -> dict[str, int]:
    """The counts as a plain dict, largest first."""
    return dict(counts.most_common())
