"""Evidence: what a jury said of one item, as numbers that change their sign when A and B change places."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import fmean
from typing import NamedTuple

from jurist.records import JudgeOutcome
from jurist_calibrate.ballots import judgments_in


class Evidence(NamedTuple):
    """What each of the judges said.

    ``verdicts``: of each judge the mean over the orders of 1 for A, 0 for a tie and -1 for B;
    ``preferences``: the mean of 2 P(A) - 1. Both are 0 for a judge without a judgment; ``cast`` is how many
    have one. ``declared``: the share of judgments that declare a tie.
    """

    verdicts: tuple[float, ...]
    preferences: tuple[float, ...]
    declared: float
    cast: int


def read_evidence(outcomes: Iterable[JudgeOutcome], judges: Sequence[str]) -> Evidence:
    """What a jury says of an item, with a place for each of ``judges``."""
    said = {outcome.source: [each.preference for each in judgments_in(outcome)] for outcome in outcomes}
    cast = {judge: preferences for judge, preferences in said.items() if preferences}
    verdicts = {judge: fmean((p > 0.5) - (p < 0.5) for p in given) for judge, given in cast.items()}
    sure = {judge: fmean(2 * p - 1 for p in given) for judge, given in cast.items()}
    return Evidence(
        verdicts=tuple(verdicts.get(judge, 0.0) for judge in judges),
        preferences=tuple(sure.get(judge, 0.0) for judge in judges),
        declared=fmean(fmean(p == 0.5 for p in given) for given in cast.values()) if cast else 0.0,
        cast=len(cast),
    )
