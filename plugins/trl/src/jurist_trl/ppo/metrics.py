"""What PPO logs: means over the tokens of an optimizer step, and over the responses of a rollout."""

from __future__ import annotations

from collections import defaultdict

import torch
from torch import Tensor

from jurist_trl.ppo.equations import Reduce


class StepMeans:
    """Means over tokens of all forward passes and processes of one optimizer step.

    ``reduce`` sums a tensor over processes; it is called once per step.
    """

    def __init__(self, reduce: Reduce) -> None:
        self._reduce = reduce
        self._sums: dict[str, Tensor] = defaultdict(lambda: torch.zeros(2))

    def add(self, mask: Tensor, **per_token: Tensor) -> None:
        """Count in the tokens of one forward pass."""
        count = mask.sum().float()
        for name, values in per_token.items():
            added = torch.stack([(values.detach() * mask).sum().float(), count])
            self._sums[name] = self._sums[name].to(added.device) + added

    def take(self) -> dict[str, float]:
        """The means, by name, of all that had tokens; the next step begins."""
        totals = self._reduce(torch.stack(list(self._sums.values()))).tolist()
        means = {
            name: total / count for name, (total, count) in zip(self._sums, totals, strict=True) if count
        }
        self._sums.clear()
        return means


def response_means(kept: Tensor, reduce: Reduce, **per_response: Tensor) -> dict[str, float]:
    """The mean of each of ``per_response``, (B,), over all processes' responses ``kept``; {} of none."""
    sums = [values[kept].float().sum() for values in per_response.values()]
    *totals, count = reduce(torch.stack([*sums, kept.sum().float()])).tolist()
    return {name: total / count for name, total in zip(per_response, totals, strict=True) if count}
