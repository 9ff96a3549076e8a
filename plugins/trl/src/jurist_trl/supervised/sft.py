"""Supervised fine-tuning of a policy on revisions."""

from __future__ import annotations

from pydantic import Field

from jurist.train_jobs import Artifact, TrainJob
from jurist_trl.options import SupervisedOptions
from jurist_trl.training.component import Progress, TRLTrainer


class SFTOptions(SupervisedOptions):
    """Options of ``trl-sft``."""

    keeps_dropout = True

    learning_rate: float = Field(default=2e-5, gt=0)


class SFT(TRLTrainer):
    """Fine-tunes a policy on revisions, and on conversations mixed with them; the loss is on completions."""

    name = "trl-sft"
    Options = SFTOptions
    options: SFTOptions
    consumes = "revisions"
    produces = "policy"

    def _train(self, job: TrainJob, progress: Progress) -> Artifact:
        from jurist_trl.supervised.sft_trainer import train_sft

        return train_sft(self, job, progress)
