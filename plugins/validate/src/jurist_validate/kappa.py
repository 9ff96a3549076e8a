"""Kappas: agreement beyond what chance would give.

Ratings are of what was shown: first, second or tie, one for each item and order. So it changes nothing which
response a file calls A, and a judge that always takes the first slot agrees with nobody.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from jurist.intervals import Estimate
from jurist_validate.intervals import pooled_share
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
    return _beyond(chance, pairs)


def fleiss(pairs: Sequence[Sequence[Pair]]) -> Estimate | None:
    """Fleiss' kappa of the pairs of ratings on each item; None where it is not defined."""
    rated = [pair for of_item in pairs for pair in of_item]
    both = Counter(name for pair in rated for name in pair)
    chance = sum(count**2 for count in both.values()) / max(1, both.total() ** 2)
    if not rated or chance == 1:
        return None
    return _beyond(chance, pairs)


def _beyond(chance: float, pairs: Sequence[Sequence[Pair]]) -> Estimate:
    """The observed agreement of all pairs beyond chance, which the interval takes as known."""
    agreed = pooled_share([(sum(one == other for one, other in of_item), len(of_item)) for of_item in pairs])
    assert agreed is not None  # there is a pair
    mean, low, high = ((end - chance) / (1 - chance) for end in (agreed.mean, agreed.low, agreed.high))
    return Estimate(mean=mean, low=low, high=high, n=agreed.n)
