"""The policy in a training by PPO, GRPO or RLOO: sampled from, and measured, in one way.

Overridden: `_tokenize_prompts`, `_generate` and `_get_per_token_logps_and_entropies`.
tests/test_trl_contract.py checks the signature of each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from inspect import signature
from typing import Any

import torch
from torch import Tensor
from transformers import GenerationConfig

from jurist.errors import TrainingError
from jurist_trl.rollouts.log_probabilities import labelled_tokens_alone, positions_of_real_tokens
from jurist_trl.rollouts.rewards import RewardSource
from jurist_trl.tokens import plain_contents
from jurist_trl.training.failures import TOO_FAST
from jurist_trl.training.session import QuietTrainer

TOKEN_IDS = ("eos_token_id", "pad_token_id", "bos_token_id")


class PolicyTrainer(QuietTrainer):
    """Mixin for GRPOTrainer and RLOOTrainer.

    ``stopped`` makes the error to raise when training cannot go on, of its cause and what to try.
    ``last_prompts``, ``last_responses`` and ``last_rewards`` are those of this process's newest rollout.
    """

    accelerator: Any
    model: Any
    _metrics: Any

    def __init__(
        self,
        *,
        model: Any,
        reward: RewardSource,
        stopped: Callable[[str, str], TrainingError],
        **arguments: Any,
    ) -> None:
        self._takes_positions = "position_ids" in signature(type(model).forward).parameters
        self._sampling_defaults = model.generation_config
        # The checkpoint's own sampling defaults (min_p, suppressed tokens) would bend the distribution that
        # is sampled from, and the loss would not know.
        model.generation_config = GenerationConfig(
            **{name: getattr(self._sampling_defaults, name) for name in TOKEN_IDS}
        )
        super().__init__(model=model, reward_funcs=[reward.__call__], **arguments)  # type: ignore[call-arg]
        self.reward = reward
        self.stopped = stopped
        self.last_prompts: list[Any] = []
        self.last_responses: list[str] = []
        self.last_rewards: list[float | None] = []

    def texts_of(self, response_ids: list[list[int]]) -> list[str]:
        """What responses say, as wherever else the policy answers.

        TRL would leave reasoning out where the tokenizer has a template to parse responses by.
        """
        tokenizer = self.processing_class  # type: ignore[attr-defined]
        texts: list[str] = tokenizer.batch_decode(response_ids, skip_special_tokens=True)
        return texts

    def finished_policy(self) -> Any:
        """The policy with the sampling defaults that it came with, to be saved."""
        policy = self.accelerator.unwrap_model(self.model)
        plain = policy.get_base_model() if hasattr(policy, "get_base_model") else policy
        for name in TOKEN_IDS:  # TRL and Transformers bring them in line with the tokenizer
            setattr(self._sampling_defaults, name, getattr(plain.generation_config, name))
        plain.generation_config = self._sampling_defaults
        return self.model

    def _tokenize_prompts(self, prompts: list[Any]) -> Any:
        tokenizer = self.processing_class  # type: ignore[attr-defined]
        plain = [plain_contents(tokenizer, prompt) for prompt in prompts]
        return super()._tokenize_prompts(plain)  # type: ignore[misc]

    def _generate(self, prompts: list[Any]) -> Any:
        try:
            return super()._generate(prompts)  # type: ignore[misc]
        except RuntimeError as error:
            if "probability tensor" not in str(error):  # what torch says when it cannot sample
                raise
            raise self.stopped("the policy's probabilities are not finite numbers", TOO_FAST) from error

    def _get_per_token_logps_and_entropies(self, model: Any, *inputs: Any, **options: Any) -> Any:
        """Log-probabilities of response tokens at the sampling temperature, entropies, and TRL's third."""
        positions = positions_of_real_tokens(model) if self._takes_positions else nullcontext()
        with positions, labelled_tokens_alone():
            return super()._get_per_token_logps_and_entropies(model, *inputs, **options)  # type: ignore[misc]

    def _numbers(self, values: Sequence[float | None]) -> Tensor:
        """``values`` on this process's device, NaN for None."""
        numbers = [float("nan") if value is None else value for value in values]
        return torch.tensor(numbers, device=self.accelerator.device)

    def _log_all(self, metrics: dict[str, float]) -> None:
        """Add to the metrics of the optimizer step."""
        for name, value in metrics.items():
            self._metrics["train"][name].append(value)
