"""The trainers ``trl-grpo`` and ``trl-rloo``: responses to a prompt compared, and no value model."""

from __future__ import annotations

from collections.abc import Sequence

from jurist.train_jobs import Artifact, JobOutline, TrainJob
from jurist_trl.groups.options import GroupOptions, GRPOOptions, RLOOOptions
from jurist_trl.rollouts.component import RolloutTrainer
from jurist_trl.training.component import Progress


class GroupTrainer(RolloutTrainer):
    """A trainer that compares the responses to a prompt with each other."""

    options: GroupOptions

    def faults(self, outline: JobOutline) -> Sequence[str]:
        """Those of every trainer that samples; these learn from nothing besides."""
        mixed = "no conversations can be mixed into this training: leave 'mixed:' out, or use trl-ppo"
        return (*super().faults(outline), *([mixed] if outline.mixed else []))


class GRPO(GroupTrainer):
    """Trains a policy by GRPO."""

    name = "trl-grpo"
    Options = GRPOOptions
    options: GRPOOptions
    consumes = "prompts"
    produces = "policy"

    def _train(self, job: TrainJob, progress: Progress) -> Artifact:
        from jurist_trl.groups.run import train_grpo

        return train_grpo(self, job, progress)


class RLOO(GroupTrainer):
    """Trains a policy by REINFORCE leave-one-out."""

    name = "trl-rloo"
    Options = RLOOOptions
    options: RLOOOptions
    consumes = "prompts"
    produces = "policy"

    def _train(self, job: TrainJob, progress: Progress) -> Artifact:
        from jurist_trl.groups.run import train_rloo

        return train_rloo(self, job, progress)
