"""Options of trainers that sample responses, rollout by rollout, and what follows from them."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field, FiniteFloat, model_validator

from jurist.files.modules import module_file
from jurist.options import Operational
from jurist_trl.options import TrainingOptions

_FUNCTION = r"^[\w.]+:\w+$"


class RolloutOptions(TrainingOptions):
    """How often, and how, a policy is sampled; where rewards come from, and what is measured besides.

    One *rollout* samples ``batch_size`` responses per process, ``num_generations`` for each prompt. Each
    time that it is used, it makes ``mini_batches`` optimizer steps, each of them of
    ``gradient_accumulation_steps`` forward passes. ``rollouts``, when given, takes the place of ``epochs``
    over the prompts; prompts are reshuffled and used again when they run out, so there may be fewer of
    them than one rollout takes. Prompts of more than ``max_prompt_length`` tokens are left out and counted.

    ``reward`` names a function ``module:function`` taking (prompts, completions) as lists and returning
    one float or None each; it may be async. What fails is asked again ``reward_retries`` times, then the
    response is left out of the loss. A response's reward is the sum of what each source gives, times its
    number in ``reward_weights``: first the job's reward models, then the function, then the scorers.

    A training is done again when the file of that module has changed, though not for a change in what the
    module imports.

    ``metric`` names a function of the same kind that measures responses to the job's held-out prompts,
    before training, every ``eval_steps`` optimizer steps and at the end.

    ``use_vllm`` samples with vLLM: on a server where ``vllm_server_base_url`` names one (started with
    ``vllm serve``), else in this process, with a share of the GPU's memory.
    """

    reward: str | None = Field(default=None, pattern=_FUNCTION)
    reward_retries: Annotated[int, Operational] = Field(default=2, ge=0)
    reward_weights: tuple[FiniteFloat, ...] | None = Field(default=None, min_length=1)
    metric: Annotated[str | None, Operational] = Field(default=None, pattern=_FUNCTION)
    eval_steps: Annotated[int, Operational] = Field(default=50, ge=1)
    use_vllm: bool = False
    vllm_server_base_url: Annotated[str | None, Operational] = None
    vllm_gpu_memory_utilization: Annotated[float, Operational] = Field(default=0.3, gt=0, le=1)
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
    def _server_is_used(self) -> RolloutOptions:
        if self.vllm_server_base_url is not None and not self.use_vllm:
            raise ValueError("vllm_server_base_url needs use_vllm: true")
        return self

    @model_validator(mode="after")
    def _divides(self) -> RolloutOptions:
        if self.batch_size % (self.mini_batches * self.gradient_accumulation_steps):
            raise ValueError("batch_size must be a multiple of mini_batches * gradient_accumulation_steps")
        if self.batch_size % self.num_generations:
            raise ValueError("batch_size must be a multiple of num_generations")
        return self

    def paths(self) -> Iterator[Path]:
        """The paths among the options that can change an answer, and the file of the reward function."""
        yield from super().paths()
        if self.reward is not None and (file := module_file(self.reward.partition(":")[0])) is not None:
            yield file

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
