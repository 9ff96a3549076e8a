"""Training curves: each metric of ``metrics.jsonl`` over the steps, thinned when there are many."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeGuard

MOST_POINTS = 600
_FIRST = (
    *("reward", "raw_reward", "held_out_metric", "kl", "length", "loss", "accuracy", "entropy"),
    *("clip_fraction", "explained_variance", "boilerplate_rate", "dropped"),
)
_NOT_METRICS = {"step", "epoch"}


@dataclass
class Curve:
    """One metric: evenly spaced points, at most ``MOST_POINTS`` of them and the newest.

    The extremes are those of all values; ``not_finite`` counts values that are no numbers.
    """

    name: str
    points: list[tuple[float, float]] = field(default_factory=list)
    newest: tuple[float, float] | None = None
    count: int = 0
    stride: int = 1
    low: float = math.inf
    high: float = -math.inf
    not_finite: int = 0

    def add(self, step: float, value: float) -> None:
        """Take in the next value."""
        if not math.isfinite(value):
            self.not_finite += 1
            return
        self.newest = (step, value)
        self.low, self.high = min(self.low, value), max(self.high, value)
        if self.count % self.stride == 0:
            self.points.append(self.newest)
        self.count += 1
        if len(self.points) > MOST_POINTS:
            self.points = self.points[::2]
            self.stride *= 2

    @property
    def varies(self) -> bool:
        """Whether there is anything to see."""
        return self.low < self.high or self.not_finite > 0

    @property
    def line(self) -> list[tuple[float, float]]:
        """The points to draw; the newest is always the last."""
        new = self.newest is not None and self.points[-1] != self.newest
        return [*self.points, self.newest] if new and self.newest else self.points


def curves(rows: Iterable[Mapping[str, Any]]) -> list[Curve]:
    """One curve per metric, those that tell most about a training first."""
    found: dict[str, Curve] = {}
    for number, row in enumerate(rows, 1):
        step = row.get("step")
        place = float(step) if _is_number(step) and math.isfinite(step) else float(number)
        for name, value in row.items():
            if name not in _NOT_METRICS and _is_number(value):
                found.setdefault(name, Curve(name)).add(place, float(value))
    return sorted(found.values(), key=lambda curve: by_importance(curve.name))


def _is_number(value: object) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def by_importance(name: str) -> tuple[bool, int, str]:
    """Metrics that are named just so, then those whose names say more, then the others."""
    if name in _FIRST:
        return False, _FIRST.index(name), name
    return True, min((place for place, part in enumerate(_FIRST) if part in name), default=len(_FIRST)), name
