"""The value model of PPO: a transformer with a linear head that values every prefix of a response."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_model, save_model
from torch import Tensor, nn
from transformers import AutoConfig, AutoModelForSequenceClassification

from jurist.errors import UsageError
from jurist.train_jobs import TrainJob
from jurist_trl.ppo.component import PPO
from jurist_trl.ppo.options import PPOOptions, ValueStart
from jurist_trl.rollouts.log_probabilities import position_ids
from jurist_trl.score_head import reward_mean, score_heads
from jurist_trl.tokens import load_tokenizer
from jurist_trl.training.arguments import lora_config
from jurist_trl.training.dropout import without_dropout

FILE = "value_model.safetensors"


class ValueModel(nn.Module):  # type: ignore[misc]
    """Values of all positions; ``model`` is a sequence classifier with one label, or one under adapters."""

    def __init__(self, model: Any) -> None:
        super().__init__()
        self.model = model
        self.mean = reward_mean(model)

    def forward(self, input_ids: Tensor, attention_mask: Tensor) -> Tensor:
        """The value after each token, (batch, tokens); positions count from the first real token."""
        plain = self.model.get_base_model() if hasattr(self.model, "get_base_model") else self.model
        hidden = plain.base_model(
            input_ids=input_ids,
            attention_mask=attention_mask,
            position_ids=position_ids(attention_mask),
            use_cache=False,
        ).last_hidden_state
        values: Tensor = plain.score(hidden).squeeze(-1).float() - self.mean
        return values

    def save(self, checkpoint: Path) -> None:
        """Write the weights into a resumable checkpoint."""
        save_model(self, str(checkpoint / FILE))

    def restore(self, checkpoint: Path) -> None:
        """Read the weights from a resumable checkpoint."""
        load_model(self, str(checkpoint / FILE))


def make_value_model(job: TrainJob, options: PPOOptions, tokenizer: Any) -> ValueModel:
    """A value model that starts from what the option ``value_model`` names.

    Raises:
        UsageError: it should start from a reward model, and there is none, or one with another tokenizer.
    """
    start = options.value_model or ("reward_model" if job.reward_models else "policy")
    if start == "reward_model":
        _check_same_tokenizer(job, tokenizer)
    model = _start(start, job, options)
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    config = lora_config(options.lora, "SEQ_CLS")
    if config is not None:
        from peft import get_peft_model

        model = get_peft_model(model, config)
        model.enable_input_require_grads()
    if options.gradient_checkpointing:
        model.activation_checkpointing_enable()
    return ValueModel(without_dropout(model).train())


def _start(start: ValueStart, job: TrainJob, options: PPOOptions) -> Any:
    if start == "reward_model":
        return AutoModelForSequenceClassification.from_pretrained(job.reward_models[0], dtype=options.dtype)
    if start == "policy":
        model = AutoModelForSequenceClassification.from_pretrained(
            job.model, num_labels=1, dtype=options.dtype
        )
    else:
        config = AutoConfig.from_pretrained(job.model, num_labels=1)
        model = AutoModelForSequenceClassification.from_config(config, dtype=getattr(torch, options.dtype))
    for head in score_heads(model):  # every value starts at 0
        nn.init.zeros_(head.weight)
    return model


def _check_same_tokenizer(job: TrainJob, tokenizer: Any) -> None:
    if load_tokenizer(job.reward_models[0]).get_vocab() != tokenizer.get_vocab():
        raise UsageError(
            f"the value model cannot start from {job.reward_models[0]}: its tokenizer is not the policy's",
            provided_by=PPO.provided_by(),
            hint="set value_model: policy",
        )
