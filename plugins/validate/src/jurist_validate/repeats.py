"""Self-consistency: whether a judge asked again, in the same order, says the same."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from statistics import fmean

from jurist.intervals import Estimate
from jurist_validate.intervals import share
from jurist_validate.rater import Reading


def self_consistency(readings: Sequence[Reading]) -> Estimate | None:
    """How often two votes on one item in one order are the same verdict; None where none was repeated.

    The mean over items of the share of their pairs of votes with a verdict. A vote without one is no
    verdict, so its pairs do not count.
    """
    return share([fmean(pairs) for reading in readings if (pairs := _pairs(reading))])


def _pairs(reading: Reading) -> list[bool]:
    return [
        first.verdict == second.verdict
        for first, second in combinations([vote for vote in reading.votes if vote.verdict], 2)
        if first.order == second.order
    ]
