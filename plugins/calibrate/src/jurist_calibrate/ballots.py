"""Ballots: the judgments that an outcome holds, one for each presentation order."""

from __future__ import annotations

from jurist.records import JudgeOutcome, Judgment
from jurist.validation.labelled import Label


def judgments_in(outcome: JudgeOutcome) -> tuple[Judgment, ...]:
    """The judgments of both orders, or of the one there is; none where the judge abstained or failed.

    A judge that gave half of what it was asked for gave nothing: half would carry its whole position bias.
    """
    if not isinstance(outcome, Judgment):
        return ()
    parts = tuple(part for part in outcome.parts if isinstance(part, Judgment))
    return parts if outcome.order == "both" and len(parts) == len(outcome.parts) > 0 else (outcome,)


def verdict_in(judgment: Judgment) -> Label:
    """The side that a judgment is for, however slightly."""
    if judgment.preference == 0.5:
        return "tie"
    return "A" if judgment.preference > 0.5 else "B"
