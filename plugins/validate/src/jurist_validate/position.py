"""Position bias: verdicts that follow the slot instead of the response."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from scipy.stats import binomtest

from jurist_validate.intervals import share, share_of
from jurist_validate.rater import Reading, slot
from jurist_validate.report import Position


def position(readings: Sequence[Reading]) -> Position:
    """How often both orders are judged alike, and which slot wins where they are not.

    Of items with a verdict in both orders: the share with the same verdict; the share on which the same
    slot won twice (a flip), and of these the share of the first slot, with the two-sided binomial test
    against one half (as in RLAIF, arXiv 2309.00267). Of items with a side in any order: how often the first
    slot won, and how often it is the one with the label.
    """
    verdicts = [list(r.verdicts.values()) for r in readings if len(r.shown) == 2]
    both = [pair for pair in verdicts if None not in pair]
    winners = [winner for reading in readings if (winner := same_slot(reading))]
    first = winners.count("first")
    chosen, labelled = _first_slot(readings)
    return Position(
        order_agreement=share([pair[0] == pair[1] for pair in both]),
        same_slot=share_of(len(winners), len(both)),
        same_slot_first=share_of(first, len(winners)),
        p_value=float(binomtest(first, len(winners)).pvalue) if winners else None,
        first_chosen=share(chosen),
        first_labelled=share(labelled),
    )


def same_slot(reading: Reading) -> str | None:
    """The slot that won in both orders, where one did."""
    slots = [slot(verdict, order) for order, verdict in reading.by_slot.items() if verdict is not None]
    return slots[0] if len(slots) == 2 and slots[0] == slots[1] != "tie" else None


def _first_slot(readings: Sequence[Reading]) -> tuple[list[float], list[float]]:
    """For each item, the shares of its sided verdicts, and of their labels, that are for the first slot."""
    chosen, labelled = [], []
    for reading in readings:
        sided = [(order, v) for order, v in reading.by_slot.items() if v in ("A", "B")]
        if sided and reading.labelled_side:
            chosen.append(fmean(slot(v, order) == "first" for order, v in sided if v))
            labelled.append(fmean(slot(reading.item.label, order) == "first" for order, _ in sided))
    return chosen, labelled
