"""Contests: two raters on the items that both decided."""

from __future__ import annotations

from math import sqrt

from scipy.stats import binomtest

from jurist.intervals import Estimate, Z
from jurist_validate.given_labels import is_right
from jurist_validate.rater import Rater
from jurist_validate.report import Contest


def contest(rater: Rater, other: Rater) -> Contest:
    """The difference in accuracy on the items with a side as label to which both gave a side.

    On the same items, so that neither gains by leaving hard ones out. The interval is Agresti and Min's
    (2005), the test McNemar's exact one.
    """
    theirs = {r.item.item: is_right(r) for r in other.readings if r.side and r.labelled_side}
    mine = {r.item.item: is_right(r) for r in rater.readings if r.side and r.labelled_side}
    both = [(mine[item], theirs[item]) for item in mine if item in theirs]
    won, lost = both.count((True, False)), both.count((False, True))
    return Contest(
        rater=rater.name,
        other=other.name,
        difference=_difference(won, lost, len(both)) if both else None,
        p_value=float(binomtest(won, won + lost).pvalue) if won + lost else None,
    )


def _difference(won: int, lost: int, n: int) -> Estimate:
    mean = (won - lost) / n
    centre = (won - lost) / (n + 2)
    half = Z * sqrt(won + lost + 1 - (won - lost) ** 2 / (n + 2)) / (n + 2)
    low, high = max(-1.0, centre - half), min(1.0, centre + half)
    return Estimate(mean=mean, low=min(low, mean), high=max(high, mean), n=n)
