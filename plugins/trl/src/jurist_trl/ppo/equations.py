"""The equations of PPO for language models, as pure functions.

Shapes: B responses of at most T tokens, padded on the right; ``mask`` (B, T) is 1 on their tokens.

Sources: PPO, Schulman et al. 2017 (1707.06347); GAE, Schulman et al. 2015 (1506.02438); KL in the
reward and its adaptive coefficient, Ziegler et al. 2019 (1909.08593); KL estimators, Schulman 2020
(joschu.net/blog/kl-approx.html); details, Huang et al. 2024 (2403.17031); dual clip, Ye et al. 2019
(1912.09729).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

Reduce = Callable[[Tensor], Tensor]


def kl_estimate(logps: Tensor, reference: Tensor, estimator: str) -> Tensor:
    """KL(policy || reference) per token, from samples of the policy, (B, T).

    With x = logp - ref_logp: k1 = x (unbiased), k2 = x^2 / 2 (biased, low variance),
    k3 = exp(-x) - 1 + x (unbiased, never negative). Schulman 2020.
    """
    x = logps - reference
    if estimator == "k1":
        return x
    if estimator == "k2":
        return x.square() / 2
    return torch.exp(-x) - 1 + x


def token_rewards(scores: Tensor, kl: Tensor, mask: Tensor, kl_coef: float) -> Tensor:
    """Rewards per token, (B, T): -kl_coef * KL on each, and the score on each response's last token.

    Args:
        scores: one per response, (B,).
        kl: per token, (B, T).
    """
    rewards = -kl_coef * kl * mask
    last = mask.sum(dim=1).long() - 1
    rows = torch.arange(len(scores), device=scores.device)
    rewards[rows, last.clamp(min=0)] += scores * (last >= 0)
    return rewards


def gae(rewards: Tensor, values: Tensor, mask: Tensor, gamma: float, lam: float) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimates and returns, both (B, T), 0 outside ``mask``.

    delta_t = r_t + gamma V_{t+1} - V_t and A_t = delta_t + gamma lam A_{t+1} (GAE, equations 12 and 16),
    with V and A 0 after a response's last token; returns are A + V.
    """
    values = values * mask
    advantages = torch.zeros_like(rewards)
    following, next_value = torch.zeros_like(rewards[:, 0]), torch.zeros_like(rewards[:, 0])
    for t in reversed(range(rewards.shape[1])):
        delta = rewards[:, t] + gamma * next_value - values[:, t]
        following = (delta + gamma * lam * following) * mask[:, t]
        advantages[:, t] = following
        next_value = values[:, t]
    return advantages, advantages + values


def whiten(
    values: Tensor, mask: Tensor, *, shift_mean: bool = True, reduce: Reduce = lambda total: total
) -> Tensor:
    """``values`` scaled to deviation 1 over ``mask`` (population variance), 0 outside it.

    ``shift_mean`` also moves the mean to 0 (advantages); without it the mean stays (rewards).
    ``reduce`` sums a tensor over processes.
    """
    total, count = reduce(torch.stack([(values * mask).sum(), mask.sum().to(values.dtype)]))
    mean = total / count.clamp(min=1)
    variance = reduce(((values - mean).square() * mask).sum()) / count.clamp(min=1)
    whitened = (values - mean) * torch.rsqrt(variance + 1e-8)
    return (whitened if shift_mean else whitened + mean) * mask


class Moments(NamedTuple):
    """How many numbers were seen, their mean, and the sum of their squared deviations from it."""

    seen: float = 0.0
    mean: float = 0.0
    squares: float = 0.0

    @property
    def deviation(self) -> float:
        """The population deviation, a little above 0 where all numbers were alike."""
        return math.sqrt(self.squares / max(self.seen, 1.0) + 1e-8)


def updated_moments(moments: Moments, values: Tensor, mask: Tensor, reduce: Reduce) -> Moments:
    """``moments`` with the ``values`` of all processes that ``mask`` has, both (B,) (Chan et al. 1983)."""
    exact = values.double()
    total, added = reduce(torch.stack([(exact * mask).sum(), mask.sum().double()])).tolist()
    if not added:
        return moments
    mean = total / added
    squares = reduce(((exact - mean).square() * mask).sum()).item()
    seen, shift = moments.seen + added, mean - moments.mean
    return Moments(
        seen,
        moments.mean + shift * added / seen,
        moments.squares + squares + shift**2 * moments.seen * added / seen,
    )


def policy_loss(
    logps: Tensor,
    old_logps: Tensor,
    advantages: Tensor,
    clip_range: float,
    dual_clip: float | None = None,
) -> tuple[Tensor, Tensor]:
    """The clipped surrogate loss per token and where the clip is active, both (B, T).

    -min(r A, clip(r, 1 - eps, 1 + eps) A) with r = exp(logp - old_logp) (PPO, equation 7). Where A < 0, it
    is at most -c A with c = ``dual_clip`` (1912.09729, equation 5).
    """
    ratio = torch.exp(logps - old_logps)
    plain = -advantages * ratio
    clipped = -advantages * ratio.clamp(1 - clip_range, 1 + clip_range)
    loss, active = torch.maximum(plain, clipped), clipped > plain
    if dual_clip is not None:
        bound = torch.where(advantages < 0, -dual_clip * advantages, torch.inf)
        loss, active = torch.minimum(loss, bound), active | (loss > bound)
    return loss, active.float()


def value_loss(
    values: Tensor, old_values: Tensor, returns: Tensor, clip_range: float
) -> tuple[Tensor, Tensor]:
    """The clipped value loss per token and where the clip is active, both (B, T).

    max((V - R)^2, (clip(V, V_old - eps, V_old + eps) - R)^2) / 2 (2403.17031, detail 3 of PPO).
    """
    plain = (values - returns).square()
    near = torch.clamp(values, old_values - clip_range, old_values + clip_range)
    clipped = (near - returns).square()
    return torch.maximum(plain, clipped) / 2, (clipped > plain).float()


def explained_variance(
    values: Tensor, returns: Tensor, mask: Tensor, reduce: Reduce = lambda total: total
) -> Tensor:
    """1 - Var(returns - values) / Var(returns) over ``mask``, a scalar; 1 is a perfect value model.

    ``reduce`` sums a tensor over processes.
    """

    def variance(x: Tensor) -> Tensor:
        total, count = reduce(torch.stack([(x * mask).sum(), mask.sum().to(x.dtype)]))
        return reduce(((x - total / count.clamp(min=1)).square() * mask).sum()) / count.clamp(min=1)

    return 1 - variance(returns - values) / variance(returns).clamp(min=1e-8)


def adapted_kl_coef(kl_coef: float, kl: float, target: float, horizon: int, samples: int) -> float:
    """``kl_coef`` times 1 + clip(KL / target - 1, -0.2, 0.2) * samples / horizon (Ziegler et al.).

    More samples than the horizon count as the horizon: five times as many could turn the coefficient's sign.
    """
    error = min(max(kl / target - 1, -0.2), 0.2)
    return kl_coef * (1 + error * min(samples / horizon, 1.0))
