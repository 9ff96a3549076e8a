"""The settings of stages: what a recipe says of each."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, JsonValue, field_validator

from jurist.chat import Sampling
from jurist.files.prompts import in_part, selected
from jurist.options import Options
from jurist.records import OnFlip, Prompt
from jurist.validation.result import Required, Thresholds

Reference = str | dict[str, JsonValue]
"""A component: ``{use: name, …options}``, the name alone, or the name of an artifact."""

Principles = Literal["all", "sampled", "none"]


def _checked_name(name: str) -> str:
    if not re.fullmatch(r"\w[\w.-]*", name):
        raise ValueError(
            "a name has only letters, digits, '_', '-' and '.', and does not begin with '-' or '.'"
        )
    return name


Name = Annotated[str, AfterValidator(_checked_name)]
"""The name of a recipe or a stage, which is that of a folder too."""


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

    def keeps(self, prompt: Prompt) -> bool:
        """Whether a prompt of the file is one of them, but for the limit."""
        return selected(prompt, self.tags, self.without_tags) and in_part(prompt, self.part)


class DataFile(Options):
    """A JSONL file to learn from: rows that people wrote or labelled."""

    path: str


class StageSettings(Options):
    """What all stages share. ``tags`` and ``without_tags`` narrow the prompts further."""

    name: Name = ""
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
    on_flip: OnFlip = "average"
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

SETTINGS: dict[str, type[Options]] = {
    "revise": ReviseSettings,
    "best_of": BestOfSettings,
    "compare": CompareSettings,
    "validate": ValidateSettings,
    "train": TrainSettings,
    "evaluate": EvaluateSettings,
}
"""The kind of a stage → its settings."""
