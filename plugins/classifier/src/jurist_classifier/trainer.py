"""The trainer ``classifier``: preferences in, a labeler out."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

from pydantic import Field

from jurist.contracts import Trainer
from jurist.options import LocalPath, Operational, Options
from jurist.train_jobs import Artifact, TrainJob, TrainProgress

HeadName = Literal["bradley_terry", "cross_encoder"]


class ClassifierOptions(Options):
    """Options of the trainer ``classifier``.

    ``base`` is the checkpoint to start from, a folder or a hub id, encoder or decoder; without one it is
    the policy's. Of the *prompts*, ``calibration_fraction`` is held out to stop early and to calibrate by,
    and ``test_fraction`` to measure what came of it; nothing is ever chosen by the latter. Training ends
    when ``patience`` looks, one every ``eval_steps`` optimizer steps, have found no lower loss. ``warmup``
    is a number of steps, or a share of all steps when below 1.
    """

    base: Annotated[str | None, LocalPath] = None
    head: HeadName = "bradley_terry"
    max_length: int = Field(default=512, ge=8)
    learning_rate: float = Field(default=2e-5, gt=0)
    warmup: float = Field(default=0.1, ge=0)
    weight_decay: float = Field(default=0.01, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    batch_size: int = Field(default=16, ge=1)
    epochs: float = Field(default=3.0, gt=0)
    eval_steps: int = Field(default=50, ge=1)
    patience: int = Field(default=4, ge=1)
    calibration_fraction: float = Field(default=0.15, gt=0, lt=0.5)
    test_fraction: float = Field(default=0.1, gt=0, lt=0.5)
    device: Annotated[str, Operational] = "auto"


class ClassifierTrainer(Trainer):
    """Trains a labeler on preferences: any encoder or decoder with a head that compares two responses."""

    Options = ClassifierOptions
    options: ClassifierOptions
    consumes = "preferences"
    produces = "labeler"

    def train(self, job: TrainJob, progress: Callable[[TrainProgress], None]) -> Artifact:
        """Train to the end; continues from the last checkpoint of the job's folder."""
        from jurist_classifier._training import train_labeler

        return train_labeler(job, self.options, progress)
