"""The head of a reward model that makes its scores, and how they are normalised."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from jurist.errors import UsageError

ROUNDING = 1e-6
"""Scores that differ by no more than this share of their mean are equal: float32 has seven digits."""


def reward_mean(model: Any) -> float:
    """What is to be subtracted from the logits of a normalised model whose head has no bias."""
    return float(getattr(model.config, "jurist_reward_mean", 0.0))


def forget_normalization(model: Any) -> None:
    """Have a normalised reward model, which is trained on, say no more that it is one."""
    for field in ("jurist_reward_mean", "jurist_reward_std"):
        if hasattr(model.config, field):
            delattr(model.config, field)


def normalize_head(model: Any, scores: Tensor, *, provided_by: str) -> tuple[float, float]:
    """Scale the head so that ``scores`` would have mean 0 and deviation 1; returns what they had.

    The scale goes into the head's weight. The shift goes into its bias; most heads have none, and
    then it is kept in the field ``jurist_reward_mean`` of the configuration, which scoring subtracts.

    Raises:
        UsageError: all scores are the same, but for rounding.
    """
    mean, deviation = scores.mean().item(), scores.std(unbiased=False).item()
    if deviation <= ROUNDING * abs(mean):
        raise UsageError(
            "the reward model gives every response the same score, so it cannot be normalised",
            provided_by=provided_by,
            hint="train longer or with a higher learning_rate, or set normalize: false",
        )
    if hasattr(model, "reshard"):
        model.reshard()  # FSDP: what scoring put together is a copy, which a change would be lost in
    for layer in score_heads(model):
        layer.weight.data.div_(deviation)
        if layer.bias is not None:
            layer.bias.data.sub_(mean).div_(deviation)
    if score_heads(model)[0].bias is None:
        model.config.jurist_reward_mean = mean / deviation
    return mean, deviation


def score_heads(model: Any) -> list[torch.nn.Linear]:
    """The linear layer that makes the score (under adapters: the trained copy and the original)."""
    for name in ("score", "classifier"):
        head = next((m for n, m in model.named_modules() if n.split(".")[-1] == name), None)
        if head is None:
            continue
        layers = [m for m in head.modules() if isinstance(m, torch.nn.Linear) and m.out_features == 1]
        if layers:
            return layers
    raise UsageError(
        f"{type(model).__name__} has no linear score head", hint="use a model family with a `score` head"
    )
