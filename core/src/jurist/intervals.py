"""Means with 95% intervals."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import NormalDist, fmean, stdev

from jurist.records import Record

Z = NormalDist().inv_cdf(0.975)
"""Standard errors from a mean to either end of its 95% interval."""


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
        return wilson(mean, n, n)
    half = Z * stdev(values) / math.sqrt(n) if n > 1 else math.inf
    return Estimate(mean=mean, low=mean - half, high=mean + half, n=n)


def wilson(share: float, effective: float, n: int) -> Estimate:
    """A share of ``n`` items with Wilson's score interval at the ``effective`` number of items."""
    centre = (share + Z**2 / (2 * effective)) / (1 + Z**2 / effective)
    spread = share * (1 - share) / effective + Z**2 / (4 * effective**2)
    half = Z / (1 + Z**2 / effective) * math.sqrt(spread)
    # Rounding must not put the share outside its own interval.
    low, high = min(max(0.0, centre - half), share), max(min(1.0, centre + half), share)
    return Estimate(mean=share, low=low, high=high, n=n)
