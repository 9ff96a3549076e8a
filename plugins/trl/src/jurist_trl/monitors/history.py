"""The metrics of a training by reinforcement, rollout by rollout, and how they have changed."""

from __future__ import annotations

import math
import statistics
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import pairwise
from typing import NamedTuple

WINDOW = 5
"""How many rollouts are averaged: the first ones of a run, which it is compared to, and the newest."""
CLEAR = 4.0
"""A change is clear when it is this many standard errors away from none."""


class Change(NamedTuple):
    """The mean of the first values, that of the newest, and whether the difference is more than noise."""

    start: float
    now: float
    clear: bool

    @property
    def rises(self) -> bool:
        """Whether the newest values are clearly higher."""
        return self.clear and self.now > self.start

    @property
    def falls(self) -> bool:
        """Whether the newest values are clearly lower."""
        return self.clear and self.now < self.start


def change(earlier: Sequence[float], now: Sequence[float], noise: float, *, errors: float = CLEAR) -> Change:
    """How the mean of ``now`` differs from that of ``earlier``, single values deviating by ``noise``.

    A difference of more than ``errors`` standard errors is clear.
    """
    start, newest = statistics.fmean(earlier), statistics.fmean(now)
    error = noise * math.sqrt(1 / len(earlier) + 1 / len(now))
    return Change(start, newest, abs(newest - start) > errors * error)


def noise_of(values: Sequence[float]) -> float:
    """The deviation of single values around their trend, from the differences of neighbours.

    sqrt(mean((x_{t+1} - x_t)^2) / 2): von Neumann et al. 1941, The Mean Square Successive Difference.
    """
    squares = [(b - a) ** 2 for a, b in pairwise(values)]
    return math.sqrt(statistics.fmean(squares) / 2) if squares else 0.0


class History:
    """One value of each metric per rollout.

    ``held_out`` are pairs: how many rollouts there had been, and what was measured on held-out prompts then.
    ``rollout_size`` is how many responses a rollout has; ``phrase`` the words that most of the newest share.
    """

    def __init__(self, rollout_size: int) -> None:
        self.rollout_size = rollout_size
        self.held_out: list[tuple[int, float]] = []
        self.phrase = ""
        self._series: defaultdict[str, list[float]] = defaultdict(list)
        self._clip_fractions: list[float] = []

    def add(self, metrics: Mapping[str, float]) -> None:
        """Take in the metrics of an optimizer step; ``raw_reward`` is there on the first of a rollout."""
        if "raw_reward" in metrics:
            # on the first step of a rollout nothing is clipped yet, so those on one are taken together
            if self._clip_fractions:
                self._series["clip_fraction"].append(statistics.fmean(self._clip_fractions))
                self._clip_fractions = []
            for name, value in metrics.items():
                if name != "clip_fraction" and math.isfinite(value):
                    self._series[name].append(value)
        if "held_out_metric" in metrics:
            self.held_out.append((len(self.of("raw_reward")), metrics["held_out_metric"]))
        if "clip_fraction" in metrics:
            self._clip_fractions.append(metrics["clip_fraction"])

    def of(self, name: str) -> Sequence[float]:
        """All values of a metric, oldest first; empty where it was never measured."""
        return self._series.get(name, [])

    def newest(self, name: str, count: int = WINDOW) -> Sequence[float] | None:
        """The last ``count`` values of a metric, or None while there are fewer."""
        values = self.of(name)
        return values[-count:] if len(values) >= count else None

    def since_start(self, name: str) -> Change | None:
        """How a metric has changed since the first rollouts, or None while that cannot be said."""
        values = self.of(name)
        if len(values) < 2 * WINDOW:
            return None
        return change(values[:WINDOW], values[-WINDOW:], noise_of(values))
