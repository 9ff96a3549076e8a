"""The difference of two estimates, with an interval."""

from __future__ import annotations

import math

from jurist.intervals import Estimate


def difference(first: Estimate, second: Estimate) -> Estimate:
    """The mean of ``second`` minus that of ``first``, with a 95% interval, as if the two were independent.

    From the intervals of both (Newcombe 1998, method 10; in general Zou & Donner 2008, "MOVER"). Where
    both measured the same prompts, it is rather too wide than too narrow.
    """
    mean = second.mean - first.mean
    low = mean - math.hypot(second.mean - second.low, first.high - first.mean)
    high = mean + math.hypot(second.high - second.mean, first.mean - first.low)
    return Estimate(mean=mean, low=low, high=high, n=min(first.n, second.n))
