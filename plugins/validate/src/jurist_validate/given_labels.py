"""Given labels: of the sides that a rater gives items to, as a run would use them, how many are right."""

from __future__ import annotations

from collections.abc import Sequence

from jurist_validate.intervals import share
from jurist_validate.rater import Reading
from jurist_validate.report import GivenLabels


def given_labels(readings: Sequence[Reading]) -> GivenLabels:
    """Accuracy of the sides given, coverage, and both in one.

    Items that people labelled a tie have no right side. They are left out, and counted by themselves.
    """
    sided = [reading for reading in readings if reading.labelled_side]
    ties = [reading for reading in readings if not reading.labelled_side]
    return GivenLabels(
        accuracy=share([is_right(r) for r in sided if r.side is not None]),
        coverage=share([r.side is not None for r in sided]),
        right_of_all=share([is_right(r) for r in sided]),
        sided_on_ties=share([r.side is not None for r in ties]),
    )


def is_right(reading: Reading) -> bool:
    """Whether the side that was given is the label."""
    return reading.side is not None and reading.side == reading.item.label
