"""Options of every trainer that samples responses itself and learns from their rewards."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

from pydantic import Field, FiniteFloat, model_validator

from jurist.files.modules import module_file
from jurist.options import Operational
from jurist_trl.settings import TrainingOptions

FUNCTION = r"^[\w.]+:\w+$"


class RewardedOptions(TrainingOptions):
    """Where rewards come from, what is measured besides, and what samples.

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

    reward: str | None = Field(default=None, pattern=FUNCTION)
    reward_retries: Annotated[int, Operational] = Field(default=2, ge=0)
    reward_weights: tuple[FiniteFloat, ...] | None = Field(default=None, min_length=1)
    metric: Annotated[str | None, Operational] = Field(default=None, pattern=FUNCTION)
    eval_steps: Annotated[int, Operational] = Field(default=50, ge=1)
    use_vllm: bool = False
    vllm_server_base_url: Annotated[str | None, Operational] = None
    vllm_gpu_memory_utilization: Annotated[float, Operational] = Field(default=0.3, gt=0, le=1)

    @model_validator(mode="after")
    def _server_is_used(self) -> RewardedOptions:
        if self.vllm_server_base_url is not None and not self.use_vllm:
            raise ValueError("vllm_server_base_url needs use_vllm: true")
        return self

    def paths(self) -> Iterator[Path]:
        """The paths among the options that can change an answer, and the file of the reward function."""
        yield from super().paths()
        if self.reward is not None and (file := module_file(self.reward.partition(":")[0])) is not None:
            yield file
