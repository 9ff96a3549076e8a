"""Training jobs: what a trainer is asked to do, what it says meanwhile, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import Field, JsonValue

from jurist.records import Record

ArtifactKind = Literal["policy", "reward_model", "labeler"]
"""What trainers make."""


class Artifact(Record):
    """A trained checkpoint: a folder that plain ``transformers`` loads, and facts about it."""

    kind: ArtifactKind
    path: Path
    metrics: dict[str, float] = Field(default={})


class TrainJob(Record):
    """What a trainer is asked to do.

    ``model`` is the checkpoint to start from: the trainer's option ``base`` where it has one that a recipe
    sets, else the option ``model`` in the settings of the policy, which must be a chat model that has
    one. ``data`` is a JSONL file: ``revisions`` (``prompt``,
    ``completion``), ``preferences`` (``prompt``, ``chosen``, ``rejected``, ``probability``) or
    ``prompts`` (``prompt``), all in conversational form. The checkpoint goes to ``output``/model;
    everything needed to resume goes to ``output``/checkpoints, and a job whose folder has some
    continues from the last. A trainer may write ``output``/metrics.jsonl, one JSON object per optimizer step
    with its number as ``step`` and metrics beside it; reports draw its curves.
    :class:`jurist.training.metrics_log.MetricsLog` writes it.

    ``reward_models`` are checkpoints that responses to ``prompts`` are rewarded with. ``held_out`` are
    prompts to measure on while training, as lines of the same form. ``mixed`` are conversations (``prompt``,
    ``completion``) to learn from besides, as helpfulness data beside revisions. ``lineage`` is what a card of
    the checkpoint should say of its origin: names with plain values.
    """

    model: Path
    data: Path
    output: Path
    reward_models: tuple[Path, ...] = ()
    held_out: Path | None = None
    mixed: Path | None = None
    lineage: dict[str, JsonValue] = Field(default={})
    seed: int = 0

    @property
    def log(self) -> Path:
        """The file that everything goes to that the trainer prints."""
        return self.output / "train.log"


class JobOutline(Record):
    """What is known of a job before anything is spent.

    ``reward_models`` is their number; ``held_out`` and ``mixed`` say whether the job will have some,
    ``scored`` and ``measured`` whether the trainer's ``score`` and ``measure`` will be set.
    """

    reward_models: int = 0
    held_out: bool = False
    mixed: bool = False
    scored: bool = False
    measured: bool = False
    processes: int = 1


class TrainProgress(Record):
    """How far a trainer is: optimizer steps done and in all, and its newest metrics.

    ``warning`` is something that a person should know of now, as that rewards rise while quality falls.
    """

    step: int
    total: int
    metrics: dict[str, float] = Field(default={})
    warning: str | None = None


ScoreResponses = Callable[[Sequence[Sequence[dict[str, str]]], Sequence[str]], Sequence[float | None]]
"""Prompts (lists of chat messages) and a response to each → a score each, None where none could be had."""


class Samples(Record):
    """How many responses a trainer will have scored, and how many tokens each may have at most."""

    responses: int
    max_tokens: int
