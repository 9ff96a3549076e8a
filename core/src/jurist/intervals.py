"""Means with 95% intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, stdev

from jurist.records import Record

_Z = NormalDist().inv_cdf(0.975)


class Estimate(Record):
    """A mean of ``n`` values with its 95% interval."""

    mean: float
    low: float
    high: float
    n: int


def estimate(values: Sequence[float]) -> Estimate:
    """The mean of ``values`` with a 95% interval.

    Wilson's score interval when all values are 0 or 1 (Wilson 1927), else the normal one. One value
    that is not 0 or 1 has no interval of its own: it spans minus to plus infinity.
    """
    n = len(values)
    if n == 0:
        raise ValueError("there is no mean of no values")
    mean = fmean(values)
    if set(values) <= {0, 1}:
        centre = (mean + _Z**2 / (2 * n)) / (1 + _Z**2 / n)
        half = _Z / (1 + _Z**2 / n) * math.sqrt(mean * (1 - mean) / n + _Z**2 / (4 * n**2))
        return Estimate(mean=mean, low=max(0.0, centre - half), high=min(1.0, centre + half), n=n)
    half = _Z * stdev(values) / math.sqrt(n) if n > 1 else math.inf
    return Estimate(mean=mean, low=mean - half, high=mean + half, n=n)
