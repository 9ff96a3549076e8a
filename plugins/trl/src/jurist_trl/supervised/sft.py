"""Supervised fine-tuning of a policy on revisions."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import Field

from jurist.train_jobs import Artifact, TrainJob, TrainProgress
from jurist_trl.settings import SupervisedOptions
from jurist_trl.trainer import TRLTrainer


class SFTOptions(SupervisedOptions):
    """Options of ``trl-sft``."""

    keeps_dropout = True

    learning_rate: float = Field(default=2e-5, gt=0)


class SFT(TRLTrainer):
    """Fine-tunes a policy on revisions, and on conversations mixed with them; the loss is on completions."""

    Options = SFTOptions
    options: SFTOptions
    consumes = "revisions"
    produces = "policy"

    def train(self, job: TrainJob, progress: Callable[[TrainProgress], None]) -> Artifact:
        """Train to the end; continues from the last checkpoint of the job's folder."""
        from jurist_trl.supervised.sft_trainer import train_policy
        from jurist_trl.training.session import stopping

        with stopping(job):
            return train_policy(self, job, progress)
