"""GRPO and RLOO on TRL's trainers: rewards are ours, and what got none is left out.

Overridden: `_calculate_rewards`, `log`, and GRPO's `_generate_and_score_completions`. TRL keeps a response
whose reward is NaN out of its group's mean and deviation and gives it advantage 0; but GRPO would still count
its tokens, and pull them to the reference. tests/test_trl_contract.py checks the signature of each.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from accelerate.utils import gather
from torch import Tensor
from trl import GRPOTrainer, RLOOTrainer

from jurist_trl.rollouts.policy import PolicyTrainer

Batch = dict[str, Any]

OURS = {
    "reward": "raw_reward",
    "completions/mean_length": "length",
    "clip_ratio/region_mean": "clip_fraction",
}
"""What TRL calls a metric → what it is called in a training by PPO."""


class GroupRollouts(PolicyTrainer):
    """Mixin for GRPOTrainer and RLOOTrainer: rewards of a RewardSource, and metrics named as PPO's are."""

    def _calculate_rewards(
        self, inputs: Any, prompts: list[Any], completions: list[Any], completion_ids_list: Any
    ) -> Tensor:
        """One reward per response of all processes, NaN where none could be had, as one column."""
        texts = self.texts_of(completion_ids_list)
        rewards = self.reward(prompts, texts)
        self.last_prompts, self.last_responses, self.last_rewards = prompts, texts, rewards.values
        column = self._gathered(rewards.values)
        missing = int(column.isnan().sum())
        if missing == len(column):
            cause = f"no reward for any of {len(column)} responses: {rewards.error}"
            raise self.stopped(cause, "make the rewards work and run again: training continues")
        self._log_all({"dropped": float(missing)})
        if len(rewards.parts) > 1:
            for name, part in rewards.parts.items():
                self._log_all({f"raw_{name}": self._gathered(part).nanmean().item()})
        return column[:, None]

    def _gathered(self, values: Sequence[float | None]) -> Tensor:
        """The values of all processes, NaN for None."""
        gathered: Tensor = gather(self._numbers(values))
        return gathered

    def log(self, logs: dict[str, float], start_time: float | None = None) -> None:
        """Name metrics as PPO does; ``kl`` is per response, and there on the first step of a rollout."""
        metrics = self._metrics["train"]
        for name in [name for name in metrics if name.startswith("rewards/")]:
            del metrics[name]  # the same number as the reward
        for name, ours in OURS.items():
            if name in metrics:
                metrics[ours] = metrics.pop(name)
        per_token = metrics.pop("kl", [])
        if "length" in metrics:  # a rollout was made for this step
            metrics["eos_rate"] = [1 - cut for cut in metrics.pop("completions/clipped_ratio")]
            if per_token:
                metrics["kl"] = [value * metrics["length"][0] for value in per_token]
        super().log(logs, start_time)  # type: ignore[misc]


class GroupRelativeTrainer(GroupRollouts, GRPOTrainer):  # type: ignore[misc]
    """GRPO whose loss takes no notice of responses without a reward."""

    def _generate_and_score_completions(self, inputs: list[Batch]) -> Batch:
        batch: Batch = super()._generate_and_score_completions(inputs)
        kept = [value is not None for value in self.last_rewards]
        mask = batch["completion_mask"] * torch.tensor(kept, device=self.accelerator.device)[:, None]
        # a mask of its own for the loss: in the forward pass these tokens still see each other
        batch["tool_mask"] = mask
        batch["num_items_in_batch"] = self.accelerator.gather(mask.sum()).sum()
        return batch


class LeaveOneOutTrainer(GroupRollouts, RLOOTrainer):  # type: ignore[misc]
    """RLOO; its loss is a sum of advantage times ratio, so advantage 0 is enough to leave a response out."""
