"""Kappas: agreement beyond what chance would give.

Ratings are of what was shown: first, second or tie, one for each item and order. So it changes nothing which
response a file calls A, and a judge that always takes the first slot agrees with nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from statistics import fmean

import numpy as np
from sklearn.metrics import cohen_kappa_score
from statsmodels.stats.inter_rater import aggregate_raters, fleiss_kappa

from jurist.intervals import Estimate
from jurist_validate.intervals import share
from jurist_validate.rater import Reading, Slot, slot
from jurist_validate.report import Kappas

Pair = tuple[Slot, Slot]


def kappas(readings: Sequence[Reading]) -> Kappas:
    """Cohen's and Fleiss' kappa of a rater and the labels as two raters.

    Fleiss' kappa takes chance from the ratings of both together (PRD prints it), Cohen's from each one's
    own. Orders without a verdict are left out, as is a verdict that mixes both orders.
    """
    pairs = [
        [(slot(v, order), slot(r.item.label, order)) for order, v in r.by_slot.items() if v is not None]
        for r in readings
    ]
    return Kappas(cohen=cohen(pairs), fleiss=fleiss(pairs))


def cohen(pairs: Sequence[Sequence[Pair]]) -> Estimate | None:
    """Cohen's kappa of the pairs of ratings on each item; None where it is not defined."""
    rated = [pair for of_item in pairs for pair in of_item]
    first, second = (Counter(pair[side] for pair in rated) for side in (0, 1))
    chance = sum(first[name] * second[name] for name in first) / max(1, len(rated) ** 2)
    if not rated or chance == 1:
        return None
    mean = cohen_kappa_score(*zip(*rated, strict=True))
    return _with_interval(float(mean), chance, pairs)


def fleiss(pairs: Sequence[Sequence[Pair]]) -> Estimate | None:
    """Fleiss' kappa of the pairs of ratings on each item; None where it is not defined."""
    rated = [pair for of_item in pairs for pair in of_item]
    both = Counter(name for pair in rated for name in pair)
    chance = sum(count**2 for count in both.values()) / max(1, both.total() ** 2)
    if not rated or chance == 1:
        return None
    table, _ = aggregate_raters(np.array(rated))
    return _with_interval(float(fleiss_kappa(table)), chance, pairs)


def _with_interval(kappa: float, chance: float, pairs: Sequence[Sequence[Pair]]) -> Estimate:
    """The interval of the observed agreement, item by item, with the chance agreement taken as known."""
    agreed = share([fmean(one == other for one, other in of_item) for of_item in pairs if of_item])
    assert agreed is not None  # there is a pair
    low, high = ((end - chance) / (1 - chance) for end in (agreed.low, agreed.high))
    return Estimate(mean=kappa, low=min(low, kappa), high=max(high, kappa), n=agreed.n)
