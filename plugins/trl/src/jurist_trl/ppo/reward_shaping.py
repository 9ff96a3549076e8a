"""From what rewards say of a response to what PPO maximises."""

from __future__ import annotations

from typing import Any

from torch import Tensor

from jurist_trl.ppo import equations
from jurist_trl.ppo.options import PPOOptions


class RewardShaping:
    """Normalises and clips scores, takes penalties off, and adapts the KL coefficient.

    ``reduce`` sums a tensor over processes. ``state`` is what a resumed training needs to go on alike.
    """

    def __init__(self, options: PPOOptions, reduce: equations.Reduce) -> None:
        self.options = options
        self.kl_coef = options.kl_coef
        self.moments = equations.Moments()
        self._reduce = reduce

    def of_responses(self, scores: Tensor, kept: Tensor, ended: Tensor) -> Tensor:
        """One number per response, (B,); that of responses not ``kept`` means nothing."""
        options = self.options
        shaped = scores.where(kept, 0.0)  # a number is needed here; a mask keeps these rows out of it all
        if options.reward_normalization:
            self.moments = equations.updated_moments(self.moments, shaped, kept, self._reduce)
            shaped = (shaped - self.moments.mean) / self.moments.deviation
        if options.reward_clip is not None:
            shaped = shaped.clamp(-options.reward_clip, options.reward_clip)
        return shaped - options.missing_eos_penalty * ~ended

    def adapt(self, kl: float, samples: int) -> None:
        """Bring the KL per response nearer to its target in the next rollout."""
        target = self.options.kl_target
        if target is not None:
            self.kl_coef = equations.adapted_kl_coef(
                self.kl_coef, kl, target, self.options.kl_horizon, samples
            )

    def state(self) -> dict[str, Any]:
        """What has been adapted so far, as JSON."""
        return {"kl_coef": self.kl_coef, "moments": list(self.moments)}

    def restore(self, state: dict[str, Any]) -> None:
        """Go on from a ``state``.

        Raises:
            KeyError, TypeError, ValueError: it is none.
        """
        self.kl_coef = float(state["kl_coef"])
        self.moments = equations.Moments(*(float(number) for number in state["moments"]))
