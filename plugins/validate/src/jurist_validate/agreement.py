"""Agreement with people's labels, under each of the four definitions in use."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from jurist.validation.labelled import Label
from jurist_validate.intervals import share
from jurist_validate.rater import Reading
from jurist_validate.report import Agreement

DEFINITIONS = {
    "right_in_both": "right in both orders (Auto-J): the verdict of either order is the label",
    "mean_of_orders": "mean over the orders (LLMBar, PRD): share of an item's verdicts that are the label",
    "sum_of_verdicts": "sum of the verdicts above 0 (JudgeBench): a right side +1, a wrong one −1, else 0",
    "ties_dropped": "ties dropped (MT-Bench, setup 2): of the items on which every order gave the same side",
}
"""What each definition means, in one line."""

_WORTH: dict[Label | None, int] = {"A": 1, "B": -1, "tie": 0, None: 0}


def agreement(readings: Sequence[Reading]) -> Agreement:
    """How often the verdicts are the label. An order without a verdict is never right."""
    return Agreement(
        right_in_both=share(right_in_both(readings)),
        mean_of_orders=share(mean_of_orders(readings)),
        sum_of_verdicts=share(sum_of_verdicts(readings)),
        ties_dropped=share([value for value in ties_dropped(readings) if value is not None]),
        ties_dropped_coverage=share([value is not None for value in ties_dropped(readings)]),
    )


def right_in_both(readings: Sequence[Reading]) -> list[float]:
    """1 where the verdicts of both orders are the label, of the items asked in both (Auto-J).

    An order without a verdict is not right. On items labelled a tie, both verdicts must be ties.
    """
    asked = [reading for reading in readings if len(reading.shown) == 2]
    return [float(set(r.verdicts.values()) == {r.item.label}) for r in asked]


def mean_of_orders(readings: Sequence[Reading]) -> list[float]:
    """The share of each item's verdicts that are its label (LLMBar; with ties as a third class, PRD).

    An order without a verdict is not right, and a tie is right on items labelled a tie alone.
    """
    asked = [reading for reading in readings if reading.shown]
    return [fmean(verdict == r.item.label for verdict in r.verdicts.values()) for r in asked]


def sum_of_verdicts(readings: Sequence[Reading]) -> list[float]:
    """1 where the right verdicts outnumber the wrong ones, of the items with a side as label (JudgeBench).

    A tie or an order without a verdict adds nothing, so a flip is not right.
    """
    asked = [reading for reading in readings if reading.shown and reading.labelled_side]
    sums = [sum(_WORTH[v] for v in r.verdicts.values()) * _WORTH[r.item.label] for r in asked]
    return [float(total > 0) for total in sums]


def ties_dropped(readings: Sequence[Reading]) -> list[float | None]:
    """1 where every order gave the item to the right side, 0 to the wrong one, else None (MT-Bench).

    Of the items with a side as label. Declared ties, flips and orders without a verdict make an item a tie,
    and those are dropped: the share of the rest must be read together with how many they are.
    """
    asked = [reading for reading in readings if reading.shown and reading.labelled_side]
    return [_if_agreed(set(r.verdicts.values()), r.item.label) for r in asked]


def _if_agreed(verdicts: set[Label | None], label: Label) -> float | None:
    if len(verdicts) > 1 or verdicts <= {"tie", None}:
        return None
    return float(verdicts == {label})
