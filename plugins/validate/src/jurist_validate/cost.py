"""Cost: what a right label costs."""

from __future__ import annotations

from collections.abc import Sequence

from jurist.intervals import Estimate
from jurist_validate.given_labels import given_labels
from jurist_validate.rater import Reading


def usd_per_right_label(readings: Sequence[Reading]) -> Estimate | None:
    """US dollars of all votes on items with a side as label, for each right side given.

    None where the price of any vote is not known, or nothing was right. The interval is that of the share of
    right labels; the cost of an item counts as known.
    """
    sided = [reading for reading in readings if reading.labelled_side]
    prices = [vote.usd for reading in sided for vote in reading.votes]
    right = given_labels(sided).right_of_all
    known = [price for price in prices if price is not None]
    if right is None or right.mean == 0 or not prices or len(known) < len(prices):
        return None
    each = sum(known) / right.n
    return Estimate(mean=each / right.mean, low=each / right.high, high=each / right.low, n=right.n)
