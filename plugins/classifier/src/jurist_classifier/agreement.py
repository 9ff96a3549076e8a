"""Agreement: how often a labeler, or the longer response, sides with the labels."""

from __future__ import annotations

from collections.abc import Sequence

from jurist.files.training_data import Conversation, PreferenceRow
from jurist.intervals import Estimate, estimate


def decided(rows: Sequence[PreferenceRow]) -> list[PreferenceRow]:
    """The rows whose label takes a side."""
    return [row for row in rows if row.probability != 0.5]


def accuracy(margins: Sequence[float], probabilities: Sequence[float]) -> Estimate:
    """How often the margins take the side of the labels, with a 95% interval.

    Labels of 1/2 have no side and are left out; a margin of 0 counts as half right.
    """
    return estimate(
        [
            0.5 if margin == 0 else float((margin > 0) == (p > 0.5))
            for margin, p in zip(margins, probabilities, strict=True)
            if p != 0.5
        ]
    )


def longer(rows: Sequence[PreferenceRow]) -> list[float]:
    """The margins of a judge that prefers the longer response, in characters."""
    return [float(_length(row.chosen) - _length(row.rejected)) for row in rows]


def _length(turns: Conversation) -> int:
    return sum(len(turn.content) for turn in turns)
