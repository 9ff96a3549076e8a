"""The jury: how far the judges agree among themselves."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import combinations

import numpy as np
from krippendorff import alpha
from numpy.typing import NDArray
from statsmodels.stats.inter_rater import fleiss_kappa

from jurist.intervals import Estimate
from jurist_validate.intervals import resampled
from jurist_validate.kappa import cohen
from jurist_validate.rater import Rater, Slot, slot
from jurist_validate.report import Jury, Pairwise

Ratings = dict[tuple[str, str], Slot]
"""The ratings of one judge, by item and order."""

_CATEGORIES: tuple[Slot, ...] = ("first", "second", "tie")


def jury(judges: Sequence[Rater], seed: int) -> Jury | None:
    """Agreement among the judges, whatever the labels; None of fewer than two.

    Ratings are first, second or tie, one for each item and order. Krippendorff's alpha (nominal) uses all
    items and orders that two judges rated, Fleiss' kappa those that all rated.
    """
    if len(judges) < 2:
        return None
    ratings = {judge.name: _ratings(judge) for judge in judges}
    counts = _counts(list(ratings.values()))
    full = counts[counts.sum(axis=2).max(axis=1, initial=0) == len(judges)]
    return Jury(
        judges=list(ratings),
        alpha=_estimate(_alpha, counts, seed),
        fleiss=_estimate(lambda table: _fleiss(table, len(judges)), full, seed),
        pairwise=[
            Pairwise(judges=(one, other), cohen=_pairwise(ratings[one], ratings[other]))
            for one, other in combinations(ratings, 2)
        ],
    )


def _ratings(judge: Rater) -> Ratings:
    return {
        (reading.item.item, order): slot(verdict, order)
        for reading in judge.readings
        for order, verdict in reading.by_slot.items()
        if verdict is not None
    }


def _counts(ratings: Sequence[Ratings]) -> NDArray[np.int64]:
    """How many judges gave each rating: an array of items × orders × ratings."""
    items = list(dict.fromkeys(item for of_judge in ratings for item, _ in of_judge))
    places = {item: place for place, item in enumerate(items)}
    counts = np.zeros((len(items), 2, len(_CATEGORIES)), dtype=np.int64)
    for of_judge in ratings:
        for (item, order), rating in of_judge.items():
            counts[places[item], int(order == "ba"), _CATEGORIES.index(rating)] += 1
    return counts


def _estimate(
    statistic: Callable[[NDArray[np.int64]], float], counts: NDArray[np.int64], seed: int
) -> Estimate | None:
    """The statistic of the counts with a bootstrap interval over items; None where it is not defined."""
    mean = statistic(counts.reshape(-1, len(_CATEGORIES)))
    if np.isnan(mean):
        return None

    def of_places(places: NDArray[np.intp]) -> float:
        return statistic(counts[places].reshape(-1, len(_CATEGORIES)))

    low, high = resampled(of_places, len(counts), seed)
    return Estimate(mean=mean, low=max(-1.0, min(low, mean)), high=min(1.0, max(high, mean)), n=len(counts))


def _alpha(table: NDArray[np.int64]) -> float:
    pairable = table[table.sum(axis=1) > 1]
    if (pairable.sum(axis=0) > 0).sum() < 2:
        return float("nan")  # nobody ever said anything else: chance agreement is complete
    return float(alpha(value_counts=pairable, level_of_measurement="nominal"))


def _fleiss(table: NDArray[np.int64], judges: int) -> float:
    complete = table[table.sum(axis=1) == judges]
    if (complete.sum(axis=0) > 0).sum() < 2:
        return float("nan")
    return float(fleiss_kappa(complete))


def _pairwise(one: Ratings, other: Ratings) -> Estimate | None:
    pairs: dict[str, list[tuple[Slot, Slot]]] = {}
    for place, rating in one.items():
        if place in other:
            pairs.setdefault(place[0], []).append((rating, other[place]))
    return cohen(list(pairs.values()))
