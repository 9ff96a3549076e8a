"""95% intervals: of shares by Wilson's method, of anything else by the bootstrap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from statistics import fmean

import numpy as np
from numpy.typing import NDArray

from jurist.intervals import Estimate, wilson

RESAMPLES = 500
"""How many resamples the bootstrap draws."""


def share(values: Sequence[float]) -> Estimate | None:
    """The mean of one value from 0 to 1 for each item, with its 95% interval; None of no items.

    Wilson's score interval at the effective number of items, p(1 − p) divided by the variance of the values
    (Dean & Pagano 2015, for clustered samples). That is the number of items where all values are 0 or 1,
    and more where two verdicts on an item are averaged; it never counts as more than two for each item.
    """
    if not values:
        return None
    mean, variance, n = fmean(values), float(np.var(values)), len(values)
    independent = mean * (1 - mean) / variance if variance else 2.0
    effective = n if mean in (0, 1) else n * min(independent, 2.0)
    return wilson(mean, effective, n)


def pooled_share(counts: Sequence[tuple[int, int]]) -> Estimate | None:
    """The share of all ratings that count, with its 95% interval clustered by item; None of no ratings.

    ``counts`` has for each item how many of its ratings count, and of how many. Wilson's score interval at
    the effective number of items, p(1 − p) divided by the variance of the ratio estimator (Cochran 1977,
    section 2.11); it never counts as more than there are ratings. ``n`` is the number of items with ratings.
    """
    counting, ratings = np.array([each for each in counts if each[1]], dtype=float).reshape(-1, 2).T
    if not len(ratings):
        return None
    n, total = len(ratings), float(ratings.sum())
    mean = float(counting.sum()) / total
    variance = float(np.mean((counting - mean * ratings) ** 2)) / (total / n) ** 2
    effective = n if mean in (0, 1) else min(n * mean * (1 - mean) / variance, total) if variance else total
    return wilson(mean, effective, n)


def share_of(count: float, n: int) -> Estimate | None:
    """``count`` of ``n`` items, with Wilson's 95% interval; None of no items."""
    return wilson(count / n, n, n) if n else None


def resampled(statistic: Callable[[NDArray[np.intp]], float], n: int, seed: int) -> tuple[float, float]:
    """The 95% percentile interval of a statistic of ``n`` items, given by their places.

    Resamples that give no number (an alpha of one rating) are left out. Of fewer than two items, or where
    fewer than two resamples give one, the interval has no ends.
    """
    if n < 2:
        return -np.inf, np.inf
    draw = np.random.default_rng(seed)
    drawn = np.array([statistic(draw.integers(0, n, n)) for _ in range(RESAMPLES)])
    drawn = drawn[~np.isnan(drawn)]
    if len(drawn) < 2:
        return -np.inf, np.inf
    low, high = np.percentile(drawn, [2.5, 97.5])
    return float(low), float(high)
