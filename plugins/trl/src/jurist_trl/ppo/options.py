"""Options of ``trl-ppo``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from jurist_trl.options import Scheduler
from jurist_trl.rollouts.options import RolloutOptions

KLEstimator = Literal["k1", "k2", "k3"]
ValueStart = Literal["reward_model", "policy", "fresh"]


class PPOOptions(RolloutOptions):
    """Options of ``trl-ppo``.

    One response for each prompt (``num_generations``) will do, since advantages come from the value model
    and not from a group. Each rollout is used ``ppo_epochs`` times.

    ``value_model`` says what the value model starts from; the default is the job's first reward model where
    it has one, else the policy. ``value_learning_rate`` and ``value_lr_scheduler`` None mean those of the
    policy. The policy rests for the first ``value_warmup_rollouts``, and for the rest of a rollout once its
    mean KL per token from the policy that sampled passes ``kl_stop``. ``kl_target`` makes ``kl_coef``
    adaptive (Ziegler et al. 2019).

    ``reward_normalization`` brings rewards to mean 0 and deviation 1 over all rollouts so far; then they are
    clipped, and ``missing_eos_penalty`` is subtracted where a response was cut off. ``dual_clip`` bounds the
    loss where an advantage is negative (1912.09729). ``ptx_coef`` weighs the language-model loss on the
    job's mixed conversations, as many in each optimizer step as responses (InstructGPT, 2203.02155).
    """

    learning_rate: float = Field(default=3e-6, gt=0)
    value_learning_rate: float | None = Field(default=None, gt=0)
    value_lr_scheduler: Scheduler | None = None
    adam_epsilon: float = Field(default=1e-5, gt=0)
    num_generations: int = Field(default=1, ge=1)
    ppo_epochs: int = Field(default=4, ge=1)
    reward_normalization: bool = False
    reward_clip: float | None = Field(default=None, gt=0)
    missing_eos_penalty: float = Field(default=0.0, ge=0)
    kl_coef: float = Field(default=0.05, ge=0)
    kl_estimator: KLEstimator = "k1"
    kl_target: float | None = Field(default=None, gt=0)
    kl_horizon: int = Field(default=10_000, ge=1)
    kl_stop: float | None = Field(default=None, gt=0)
    gamma: float = Field(default=1.0, gt=0, le=1)
    gae_lambda: float = Field(default=0.95, ge=0, le=1)
    clip_range: float = Field(default=0.2, gt=0)
    clip_range_value: float = Field(default=0.2, gt=0)
    dual_clip: float | None = Field(default=None, gt=1)
    entropy_coef: float = Field(default=0.0, ge=0)
    ptx_coef: float = Field(default=1.0, gt=0)
    whiten_rewards: bool = False
    whiten_advantages: bool = True
    value_model: ValueStart | None = None
    value_warmup_rollouts: int = Field(default=0, ge=0)

    @model_validator(mode="after")
    def _adapts_something(self) -> PPOOptions:
        if self.kl_target is not None and self.kl_coef == 0:
            raise ValueError("kl_target adapts kl_coef, which stays 0 where it begins at 0: raise kl_coef")
        return self

    @property
    def steps_per_rollout(self) -> int:
        """Optimizer steps taken on one rollout."""
        return self.mini_batches * self.ppo_epochs
