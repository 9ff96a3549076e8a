"""The trainer ``trl-ppo``."""

from __future__ import annotations

from collections.abc import Sequence

from jurist.train_jobs import Artifact, JobOutline, TrainJob
from jurist_trl.ppo.options import PPOOptions
from jurist_trl.rollouts.component import RolloutTrainer
from jurist_trl.training.component import Progress


class PPO(RolloutTrainer):
    """Trains a policy by PPO with a separate value model."""

    name = "trl-ppo"
    Options = PPOOptions
    options: PPOOptions
    consumes = "prompts"
    produces = "policy"

    def faults(self, outline: JobOutline) -> Sequence[str]:
        """Those of every trainer that samples, and what speaks against its value model."""
        found = [*super().faults(outline)]
        if self.options.value_model == "reward_model" and not outline.reward_models:
            found.append(
                "value_model: reward_model needs a reward model, and there is none: set it to policy"
            )
        if self.options.fsdp is not None:
            found.append("fsdp: PPO trains two networks, which it cannot do here: set lora for a large model")
        return found

    def _train(self, job: TrainJob, progress: Progress) -> Artifact:
        from jurist_trl.ppo.run import train_ppo

        return train_ppo(self, job, progress)
