"""Calibration: from margins to probabilities that mean what they say, and how far they do."""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean

_COLDEST, _HOTTEST = 1e-3, 1e3
_BINS = 10


def sigmoid(margin: float) -> float:
    """1 / (1 + exp(-margin)); ``sigmoid(-x)`` is exactly ``1 - sigmoid(x)``, and never overflows."""
    likelier = 1 / (1 + math.exp(-abs(margin)))
    return likelier if margin >= 0 else 1 - likelier


def loss(margins: Sequence[float], probabilities: Sequence[float]) -> float:
    """Mean cross-entropy of the labels under P(A is better) = sigmoid(margin), in nats."""
    return fmean(
        p * _softplus(-margin) + (1 - p) * _softplus(margin)
        for margin, p in zip(margins, probabilities, strict=True)
    )


def fit_temperature(margins: Sequence[float], probabilities: Sequence[float]) -> float:
    """The temperature T for which sigmoid(margin / T) has the least loss.

    Temperature scaling (Guo et al. 2017, arXiv 1706.04599, equation 9, of two classes without a bias,
    which would depend on the order). Labels of n pairs are drawn towards 1/2 as Platt (1999, section 2.2)
    does: 1 becomes (n + 1) / (n + 2). Without it, margins that are all right would get T = 0.

    Args:
        margins: of n pairs, above 0 where A is found better.
        probabilities: P(A is better) by the labels.

    Returns:
        T; 1000 where the margins say nothing of the labels, so that all probabilities are near 1/2.
    """
    n = len(margins)
    targets = [0.5 + (p - 0.5) * n / (n + 2) for p in probabilities]

    def slope(inverse: float) -> float:
        """The derivative of the loss in 1/T, which grows with 1/T."""
        return fmean((sigmoid(inverse * d) - p) * d for d, p in zip(margins, targets, strict=True))

    low, high = math.log(1 / _HOTTEST), math.log(1 / _COLDEST)
    if slope(math.exp(low)) >= 0:
        return _HOTTEST
    while high - low > 1e-9:
        middle = (low + high) / 2
        low, high = (middle, high) if slope(math.exp(middle)) < 0 else (low, middle)
    return math.exp(-(low + high) / 2)


def calibration_error(margins: Sequence[float], probabilities: Sequence[float]) -> float:
    """Expected calibration error over ten bins of confidence between 1/2 and 1.

    The mean, weighted by size, of |accuracy - confidence| in each bin (Guo et al. 2017, equation 3).
    Confidence is that of the side preferred, accuracy P(that side is better) by the labels.
    """
    bins: list[list[float]] = [[] for _ in range(_BINS)]
    for margin, p in zip(margins, probabilities, strict=True):
        confidence = sigmoid(abs(margin))
        right = p if margin >= 0 else 1 - p
        number = min(int((confidence - 0.5) * 2 * _BINS), _BINS - 1)
        bins[number].append(right - confidence)
    return sum(abs(sum(gaps)) for gaps in bins) / len(margins)


def _softplus(x: float) -> float:
    return max(x, 0.0) + math.log1p(math.exp(-abs(x)))
