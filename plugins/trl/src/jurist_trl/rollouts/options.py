"""Options of trainers that sample responses, rollout by rollout, and what follows from them."""

from __future__ import annotations

import math
from abc import abstractmethod
from typing import Annotated

from pydantic import Field, model_validator

from jurist.options import Operational
from jurist_trl.rollouts.rewarded import RewardedOptions


class RolloutOptions(RewardedOptions):
    """How often, and how, a policy is sampled.

    One *rollout* samples ``batch_size`` responses per process, ``num_generations`` for each prompt. Each
    time that it is used, it makes ``mini_batches`` optimizer steps, each of them of
    ``gradient_accumulation_steps`` forward passes. ``rollouts``, when given, takes the place of ``epochs``
    over the prompts; prompts are reshuffled and used again when they run out, so there may be fewer of
    them than one rollout takes. Prompts of more than ``max_prompt_length`` tokens are left out and counted.
    """

    batch_size: int = Field(default=64, ge=2)
    num_generations: int = Field(default=8, ge=2)
    mini_batches: int = Field(default=1, ge=1)
    epochs: float = Field(default=1.0, gt=0)
    rollouts: int | None = Field(default=None, ge=1)
    max_prompt_length: int = Field(default=1024, ge=1)
    max_completion_length: int = Field(default=256, ge=1)
    temperature: float = Field(default=1.0, gt=0)
    save_steps: Annotated[int, Operational] = Field(default=50, ge=1)

    @model_validator(mode="after")
    def _divides(self) -> RolloutOptions:
        if self.batch_size % (self.mini_batches * self.gradient_accumulation_steps):
            raise ValueError("batch_size must be a multiple of mini_batches * gradient_accumulation_steps")
        if self.batch_size % self.num_generations:
            raise ValueError("batch_size must be a multiple of num_generations")
        return self

    @property
    def micro_batch(self) -> int:
        """Responses in one forward pass."""
        return self.batch_size // (self.mini_batches * self.gradient_accumulation_steps)

    @property
    @abstractmethod
    def steps_per_rollout(self) -> int:
        """Optimizer steps taken on one rollout."""

    def whole_rollouts(self, steps: int) -> int:
        """``steps`` rounded up, so that a rollout ends there."""
        return math.ceil(steps / self.steps_per_rollout) * self.steps_per_rollout

    def prompts_per_rollout(self, processes: int) -> int:
        """How many prompts all processes sample on in one rollout."""
        return self.batch_size * processes // self.num_generations

    def rollouts_over(self, prompts: int, processes: int) -> int:
        """How many rollouts a training on so many prompts makes."""
        return self.rollouts or math.ceil(self.epochs * prompts / self.prompts_per_rollout(processes))
