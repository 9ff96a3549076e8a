"""Calibration: whether labels given with a probability of 0.8 are right eight times in ten."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from jurist.intervals import Estimate, estimate
from jurist_validate.given_labels import is_right
from jurist_validate.intervals import resampled, share
from jurist_validate.rater import Kind, Reading
from jurist_validate.report import Bin, Calibration

BINS = 10
"""How many bins of equal width there are from 0.5 to 1."""

_HARD = {0.0, 0.5, 1.0}


def calibration(readings: Sequence[Reading], kind: Kind, seed: int) -> Calibration | None:
    """Expected calibration error, Brier score and reliability table; None where every verdict is hard.

    Of the items with a side as label on which a side was given. Its confidence is the probability of that
    side. The error is the mean distance between confidence and accuracy, over ten bins weighted by their
    items (Guo et al. 2017); it is biased upwards where bins hold few items, and so is its interval. The
    Brier score is the mean squared distance between P(A) and the label, from 0 to 1.
    """
    if not is_soft(readings, kind):
        return None
    sided = [r for r in readings if r.labelled_side and r.side]
    if not sided:
        return None
    sure = [confidence(reading) for reading in sided]
    right = [is_right(reading) for reading in sided]
    return Calibration(
        ece=_error(np.array(sure), np.array(right), seed),
        brier=_brier(sided),
        bins=[one for number in range(BINS) if (one := _bin(number, sure, right))],
    )


def is_soft(readings: Sequence[Reading], kind: Kind) -> bool:
    """Whether any verdict came with a probability: one of a judge in one order, or another's decision.

    The mean of a judge's two hard verdicts is no probability that it gave; an aggregator's decision is one.
    """
    preferences = [
        preference
        for reading in readings
        for preference in ((kind == "judge" and reading.shown.values()) or [reading.preference])
    ]
    return any(preference not in _HARD for preference in preferences if preference is not None)


def confidence(reading: Reading) -> float:
    """The probability of the side that was given."""
    assert reading.preference is not None
    return max(reading.preference, 1 - reading.preference)


def _error(sure: NDArray[np.float64], right: NDArray[np.bool_], seed: int) -> Estimate:
    bins, gaps = np.array([_bin_of(each) for each in sure]), sure - right

    def error(places: NDArray[np.intp]) -> float:
        sums = np.bincount(bins[places], weights=gaps[places], minlength=BINS)
        return float(np.abs(sums).sum() / len(places))

    mean = error(np.arange(len(sure)))
    low, high = resampled(error, len(sure), seed)
    return Estimate(mean=mean, low=max(0.0, min(low, mean)), high=min(1.0, max(high, mean)), n=len(sure))


def _brier(readings: Sequence[Reading]) -> Estimate:
    found = estimate([(1 - confidence(r) if is_right(r) else confidence(r)) ** 2 for r in readings])
    return found.model_copy(update={"low": max(0.0, found.low), "high": min(1.0, found.high)})


def _bin_of(sure: float) -> int:
    """The bin of a confidence; each holds its lower edge, the last one both."""
    return min(int(2 * BINS * (sure - 0.5) + 1e-9), BINS - 1)  # 0.6 − 0.5 is a little less than 0.1


def _bin(number: int, sure: Sequence[float], right: Sequence[bool]) -> Bin | None:
    inside = [place for place, each in enumerate(sure) if _bin_of(each) == number]
    accuracy = share([right[place] for place in inside])
    if accuracy is None:
        return None
    mean = sum(sure[place] for place in inside) / len(inside)
    low = 0.5 + number / (2 * BINS)
    return Bin(low=low, high=low + 1 / (2 * BINS), confidence=mean, accuracy=accuracy)
