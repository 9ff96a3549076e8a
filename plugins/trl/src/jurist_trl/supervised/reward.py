"""A Bradley-Terry reward model trained on soft preferences."""

from __future__ import annotations

from pathlib import Path

from pydantic import Field, model_validator

from jurist.train_jobs import Artifact, TrainJob
from jurist_trl.options import SupervisedOptions
from jurist_trl.training.component import Progress, TRLTrainer


class RewardOptions(SupervisedOptions):
    """Options of ``trl-reward``.

    ``eval_fraction`` of the prompts is held out and only measured on. ``normalize`` shifts and scales
    the finished model so that the responses in the file ``reference`` score 0 on average, with deviation 1
    (a prompt and a completion on each line; without it the responses that the model was trained on).
    ``center_rewards_coefficient`` pulls each pair's mean score towards 0 during training.
    """

    learning_rate: float = Field(default=1e-5, gt=0)
    eval_fraction: float = Field(default=0.1, ge=0, lt=1)
    normalize: bool = True
    reference: Path | None = None
    center_rewards_coefficient: float | None = Field(default=None, gt=0)

    @model_validator(mode="after")
    def _reference_has_a_use(self) -> RewardOptions:
        if self.reference is not None and not self.normalize:
            raise ValueError("reference is what normalize goes by: leave it out, or set normalize: true")
        return self


class Reward(TRLTrainer):
    """Trains a reward model on preferences with soft labels."""

    name = "trl-reward"
    Options = RewardOptions
    options: RewardOptions
    consumes = "preferences"
    produces = "reward_model"

    def _train(self, job: TrainJob, progress: Progress) -> Artifact:
        from jurist_trl.supervised.reward_trainer import train_reward_model

        return train_reward_model(self, job, progress)
