"""Options of ``trl-grpo`` and ``trl-rloo``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from jurist_trl.rollouts.options import RolloutOptions

GRPOLoss = Literal["grpo", "dapo", "dr_grpo", "bnpo"]
RewardScale = Literal["group", "batch", "none"]


class GroupOptions(RolloutOptions):
    """What ``trl-grpo`` and ``trl-rloo`` can both be told.

    Each rollout is used ``num_iterations`` times. ``beta`` weighs the KL to the policy that training started
    from; at 0 there is no such policy in memory, and no KL in the metrics. The ratio of new to old
    probabilities is clipped to 1 - ``epsilon`` and 1 + ``epsilon_high`` (None: ``epsilon``).
    ``mask_truncated_completions`` leaves responses without an end out of the loss.
    """

    learning_rate: float = Field(default=1e-6, gt=0)
    num_iterations: int = Field(default=1, ge=1)
    beta: float = Field(default=0.05, ge=0)
    epsilon: float = Field(default=0.2, gt=0)
    epsilon_high: float | None = Field(default=None, gt=0)
    mask_truncated_completions: bool = False

    @property
    def steps_per_rollout(self) -> int:
        """Optimizer steps taken on one rollout."""
        return self.mini_batches * self.num_iterations


class GRPOOptions(GroupOptions):
    """Options of ``trl-grpo`` (Shao et al. 2024, 2402.03300).

    The KL is a term of the loss, per token. ``scale_rewards`` divides advantages by the deviation
    of rewards in their group or in the whole batch, or not at all. ``loss_type``: ``grpo`` is the mean over
    responses of each one's mean; ``dapo`` the mean over all tokens of an optimizer step (Yu et al. 2025,
    2503.14476); ``bnpo`` over those of a forward pass; ``dr_grpo`` the sum over tokens divided by
    responses times ``max_completion_length`` (Liu et al. 2025, 2503.20783).
    """

    loss_type: GRPOLoss = "dapo"
    scale_rewards: RewardScale = "group"


class RLOOOptions(GroupOptions):
    """Options of ``trl-rloo`` (Ahmadian et al. 2024, 2402.14740).

    The KL of a response is taken off its reward, which is clipped to +-``reward_clip`` before.
    ``normalize_advantages`` scales the advantages of a rollout to mean 0 and deviation 1.
    """

    reward_clip: float | None = Field(default=None, gt=0)
    normalize_advantages: bool = False
