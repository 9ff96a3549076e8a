"""What every trainer that samples responses, rollout by rollout, can say before it begins."""

from __future__ import annotations

from jurist.contracts import Samples, Trainer
from jurist_trl.rollouts.options import RolloutOptions


class RolloutTrainer(Trainer):
    """A trainer that samples responses to prompts and learns from their rewards."""

    options: RolloutOptions

    def samples(self, prompts: int, processes: int) -> Samples | None:
        """How many responses all rollouts have, and their longest."""
        responses = self.options.rollouts_over(prompts, processes) * self.options.batch_size * processes
        return Samples(responses=responses, max_tokens=self.options.max_completion_length)

    def measurements(self, held_out: int, prompts: int, processes: int) -> Samples | None:
        """One response to each held-out prompt: before training, every ``eval_steps``, and at the end."""
        steps = self.options.rollouts_over(prompts, processes) * self.options.steps_per_rollout
        every = self.options.whole_rollouts(self.options.eval_steps)
        times = 1 + -(-steps // every)
        return Samples(responses=times * held_out, max_tokens=self.options.max_completion_length)
