"""A recipe: which prompts, constitution, policy and stages a run is made of.

A recipe is YAML (or a dict). Relative paths are relative to the working directory; a path that starts
with ``package:`` names a file inside an installed package (``package:jurist_demo/model``). ``${NAME}``
is replaced by an environment variable at the moment of use, so the recipe that a run stores holds the
name and never the secret.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

import yaml
from pydantic import Field, JsonValue, ValidationError, field_validator

from jurist.chat import Sampling
from jurist.errors import UsageError
from jurist.files.yaml_text import load_yaml
from jurist.options import Options, fault_line
from jurist.overrides import apply_override
from jurist.rounds import Unrolled
from jurist.validation.result import Required, Thresholds

Reference = str | dict[str, JsonValue]
"""A component: ``{use: name, …options}``, the name alone, or the name of an artifact."""

ARTIFACTS = frozenset({"base", "policy", "reward_model", "labeler", "revisions", "preferences", "jury"})
"""Names that artifacts have, whichever stage makes them."""

Principles = Literal["all", "sampled", "none"]


class PromptSource(Options):
    """Where prompts come from: a JSONL file, and which of its rows.

    ``part: [2, 5]`` is the second of five parts that have no prompt in common; a prompt is always in one.
    """

    path: str
    limit: int | None = Field(default=None, ge=1)
    tags: tuple[str, ...] = ()
    without_tags: tuple[str, ...] = ()
    part: tuple[int, int] | None = None

    @field_validator("part")
    @classmethod
    def _is_one_of_them(cls, part: tuple[int, int] | None) -> tuple[int, int] | None:
        if part is not None and not 1 <= part[0] <= part[1]:
            raise ValueError("[2, 5] is the second of five parts")
        return part

    @classmethod
    def of(cls, value: str | PromptSource) -> PromptSource:
        """The same, from a path alone."""
        return cls(path=value) if isinstance(value, str) else value


class DataFile(Options):
    """A JSONL file to learn from: rows that people wrote or labelled."""

    path: str


class Budget(Options):
    """Caps on what a run may spend in all; a rerun counts what was spent before."""

    usd: float | None = Field(default=None, gt=0)
    tokens: int | None = Field(default=None, gt=0)


class Human(Options):
    """What labels by people cost: ``jurist plan`` sets them beside the plan. ``check``: the share of the
    AI's labels that people look at where they only check.
    """

    usd_per_hour: float = Field(default=30.0, ge=0)
    minutes_per_item: float = Field(default=2.0, ge=0)
    check: float = Field(default=0.1, ge=0, le=1)


class StageSettings(Options):
    """What all stages share. ``tags`` and ``without_tags`` narrow the prompts further."""

    name: str = Field(default="", pattern=r"^(\w[\w.-]*)?$")
    prompts: str | PromptSource | None = None
    tags: tuple[str, ...] = ()
    without_tags: tuple[str, ...] = ()


class ReviseSettings(StageSettings):
    """Constitutional AI, supervised part: response → critique → revision, repeated.

    ``principles: all`` holds every response against the whole constitution and stops when all of it
    is satisfied. ``principles: sampled`` is the form of the paper (arXiv 2212.08073, section 3.1): one
    sampled principle per round, a fixed number of rounds. ``keep`` says which texts become training
    data: the ``final`` one, ``all`` revisions, or the revisions up to round n.
    """

    stage: Literal["revise"]
    generator: Reference = "policy"
    critic: Reference = "policy"
    reviser: Reference = "policy"
    rounds: int = Field(default=1, ge=1)
    principles: Literal["all", "sampled"] = "all"
    keep: Literal["final", "all"] | Annotated[int, Field(ge=1)] = "final"
    sampling: Sampling = Sampling()


class JudgingSettings(StageSettings):
    """Who judges comparisons, in which orders, by which principles, and who makes one decision of it all.

    With ``orders: adaptive`` a judge is shown the second order only if it was not ``decisive`` in the first.
    """

    judges: tuple[Reference, ...] = Field(min_length=1)
    orders: Literal["both", "one", "adaptive"] = "both"
    decisive: float = Field(default=0.9, gt=0.5, le=1)
    on_flip: Literal["average", "abstain"] = "average"
    principles: Principles = "sampled"
    aggregate: tuple[Reference, ...] = Field(default=("majority",), min_length=1)


class CompareSettings(JudgingSettings):
    """AI feedback: K responses per prompt, compared in pairs by a jury.

    With ``ask: in_turn`` judges are asked one after the other, until the first aggregator can decide.
    ``pairs`` labels an existing file of comparisons instead of sampling responses. ``critic`` holds
    each response against the hard principles, for the constitution filter; principles with
    deterministic checks need no critic.
    """

    stage: Literal["compare"]
    pairs: str | None = None
    generator: Reference = "policy"
    samples: int = Field(default=2, ge=2)
    sampling: Sampling = Sampling()
    pairing: Literal["all", "adjacent", "best", "tournament"] = "all"
    ask: Literal["all", "in_turn"] = "all"
    critic: Reference | None = None


class ValidateSettings(JudgingSettings):
    """A jury against people's labels, before anything is trained on what it says.

    ``labelled`` is a file of labelled items with their texts. A recommendation below ``require`` ends the
    run. ``anchors`` is a file of verdicts that an earlier run wrote: its items are judged again, and the run
    ends where a judge changed its mind on more than ``max_drift`` of them.
    """

    stage: Literal["validate"]
    labelled: str
    limit: int | None = Field(default=None, ge=1)
    thresholds: Thresholds = Thresholds()
    require: Required = "warn"
    anchors: str | None = None
    max_drift: float = Field(default=0.05, ge=0, lt=1)


class HeldOut(Options):
    """Prompts that a trainer measures its policy on while it trains, and who scores the responses to them."""

    prompts: str | PromptSource
    scorers: tuple[Reference, ...] = ()


class TrainSettings(StageSettings):
    """Training: a dataset in, a checkpoint out.

    ``data`` names the artifact to learn from (by default the newest of the kind that the trainer
    consumes), or a file: ``{path: human.jsonl}``. ``model`` is the policy whose checkpoint is the start,
    unless the trainer's own option ``base`` names one.

    Trainers that sample are rewarded by ``scorers``, which go by ``principles`` (direct RLAIF, arXiv
    2309.00267: the expected score of a judge is the reward; of several scorers, the mean), by the reward
    models that ``reward_model`` names, or by both. ``held_out`` is measured on while training; ``mixed`` are
    conversations to learn from besides. ``processes`` train together, under ``torchrun``.
    """

    stage: Literal["train"]
    trainer: Reference
    model: Reference = "policy"
    data: str | DataFile | None = None
    reward_model: str | Annotated[tuple[str, ...], Field(min_length=1)] | None = None
    scorers: tuple[Reference, ...] = ()
    principles: Principles = "none"
    held_out: HeldOut | None = None
    mixed: DataFile | None = None
    processes: int = Field(default=1, ge=1)

    @property
    def trainer_name(self) -> str:
        """The trainer's name without its options."""
        return self.trainer if isinstance(self.trainer, str) else str(self.trainer.get("use"))


class BestOfSettings(StageSettings):
    """Best-of-n: several responses per prompt, of which the one that scorers like best is learnt.

    A response's score is the mean of its scorers'. ``principles: sampled`` draws one for each prompt. The
    method is that of rejection sampling in Llama 2 (arXiv 2307.09288, section 3.2.3).
    """

    stage: Literal["best_of"]
    generator: Reference = "policy"
    samples: int = Field(default=4, ge=2)
    sampling: Sampling = Sampling()
    scorers: tuple[Reference, ...] = Field(min_length=1)
    principles: Principles = "none"


class EvaluateSettings(StageSettings):
    """Measuring: policies answer held-out prompts and scorers score the answers.

    ``kl_to`` names the policy to which the divergence of the others is estimated (both must be able
    to give log-probabilities).
    """

    stage: Literal["evaluate"]
    policies: dict[str, Reference] = Field(default={"policy": "policy"}, min_length=1)
    scorers: tuple[Reference, ...] = Field(min_length=1)
    samples: int = Field(default=1, ge=1)
    sampling: Sampling = Sampling()
    principles: Principles = "none"
    kl_to: str | None = None


AnyStage = Annotated[
    ReviseSettings | BestOfSettings | CompareSettings | ValidateSettings | TrainSettings | EvaluateSettings,
    Field(discriminator="stage"),
]


class Recipe(Options):
    """The whole of a run's settings. ``note`` is shown in the report, for whoever reads the result.

    What is read from a file or a dict may have blocks of rounds among its ``stages``; here they are written
    out.
    """

    name: str = Field(default="run", pattern=r"^\w[\w.-]*$")
    seed: int = 0
    prompts: str | PromptSource | None = None
    constitution: str | dict[str, JsonValue] = "default"
    policy: Reference | None = None
    stages: tuple[AnyStage, ...]
    budget: Budget = Budget()
    human: Human = Human()
    note: str = ""

    @field_validator("stages")
    @classmethod
    def _named(cls, stages: tuple[AnyStage, ...]) -> tuple[AnyStage, ...]:
        if not stages:
            raise ValueError("a recipe needs at least one stage")
        named = tuple(s if s.name else s.model_copy(update={"name": s.stage}) for s in stages)
        names = [stage.name for stage in named]
        taken = sorted(set(names) & ARTIFACTS)
        if taken:
            raise ValueError(f"artifacts have these names, so stages cannot: {', '.join(taken)}")
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"stages need names that differ; used twice: {', '.join(twice)}")
        return named

    @classmethod
    def load(cls, path: Path | str, overrides: Sequence[str] = ()) -> Recipe:
        """Read a recipe file and apply ``a.b=value`` overrides (values are YAML).

        Raises:
            UsageError: the file is missing or not YAML, or settings are wrong; lists every fault.
        """
        return cls.of(_read_yaml(resolve_path(str(path))), overrides, subject=str(path))

    @classmethod
    def of(
        cls, settings: Mapping[str, Any], overrides: Sequence[str] = (), subject: str = "recipe"
    ) -> Recipe:
        """The same from a dict."""
        data = dict(settings)
        for override in overrides:
            apply_override(data, override)
        places, faults = [], []
        if isinstance(data.get("stages"), (list, tuple)):
            unrolled = Unrolled(data["stages"], data.get("prompts"), ARTIFACTS)
            places, faults = unrolled.places, unrolled.faults
            data["stages"] = unrolled.stages
        try:
            recipe = cls.model_validate(data)
        except ValidationError as error:
            faults += _faults(error, places)
        if faults:
            raise UsageError.of_faults(subject, faults, hint="see docs/recipes.md for every setting")
        return recipe


def resolve_path(text: str) -> Path:
    """A path as recipes write it: ``${NAME}`` and ``package:`` prefixes are resolved."""
    expanded = expand(text)
    if not expanded.startswith("package:"):
        return Path(expanded)
    package, _, inside = expanded.removeprefix("package:").partition("/")
    try:
        return Path(str(resources.files(package))) / inside
    except ModuleNotFoundError as error:
        raise UsageError(
            f"{text}: no installed package '{package}'", hint=f"pip install {package.replace('_', '-')}"
        ) from error


def expand(text: str) -> str:
    """``text`` with every ``${NAME}`` replaced by its environment variable.

    Raises:
        UsageError: a variable is not set.
    """

    def value(match: re.Match[str]) -> str:
        try:
            return os.environ[match[1]]
        except KeyError:
            raise UsageError(
                f"environment variable {match[1]} is not set", hint=f"export {match[1]}=…"
            ) from None

    return re.sub(r"\$\{(\w+)\}", value, text)


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        data = load_yaml(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the recipe {path}", cause=error) from error
    except yaml.YAMLError as error:
        raise UsageError(f"{path} is not valid YAML", cause=error) from error
    if not isinstance(data, dict):
        raise UsageError(f"{path} is not a recipe", cause="the file must be a mapping with 'stages'")
    return data


def _faults(error: ValidationError, places: Sequence[str]) -> list[str]:
    """Readable faults, each once; those inside a stage say where it is written, and name its settings."""
    faults = []
    for entry in error.errors():
        loc = entry["loc"]
        model: type[Options] = Recipe
        where = "recipe"
        if len(loc) >= 2 and loc[0] == "stages":
            model = _STAGES.get(str(loc[2]), Recipe) if len(loc) > 2 else Recipe
            where = places[int(loc[1])]
            loc = loc[3:]
        faults.append(fault_line({**entry, "loc": loc}, model.model_fields, where))
    return list(dict.fromkeys(faults))


_STAGES: dict[str, type[Options]] = {
    "revise": ReviseSettings,
    "best_of": BestOfSettings,
    "compare": CompareSettings,
    "validate": ValidateSettings,
    "train": TrainSettings,
    "evaluate": EvaluateSettings,
}
