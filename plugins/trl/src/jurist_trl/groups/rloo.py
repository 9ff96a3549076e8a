"""REINFORCE leave-one-out: each response against the mean reward of the others to its prompt."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import Field

from jurist.train_jobs import Artifact, TrainJob, TrainProgress
from jurist_trl.groups.grpo import GroupOptions, GroupTrainer


class RLOOOptions(GroupOptions):
    """Options of ``trl-rloo`` (Ahmadian et al. 2024, 2402.14740).

    The KL of a response is taken off its reward, which is clipped to +-``reward_clip`` before.
    ``normalize_advantages`` scales the advantages of a rollout to mean 0 and deviation 1.
    """

    reward_clip: float | None = Field(default=None, gt=0)
    normalize_advantages: bool = False


class RLOO(GroupTrainer):
    """Trains a policy by REINFORCE leave-one-out."""

    Options = RLOOOptions
    options: RLOOOptions
    consumes = "prompts"
    produces = "policy"

    def train(self, job: TrainJob, progress: Callable[[TrainProgress], None]) -> Artifact:
        """Train to the end; continues from the last checkpoint of the job's folder."""
        from jurist_trl.groups.run import train_by_rloo
        from jurist_trl.training.session import stopping

        with stopping(job):
            return train_by_rloo(self, job, progress)
