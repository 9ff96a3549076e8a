"""Judges as raters: what the recorded votes of each one say of every item it was asked about."""

from __future__ import annotations

from collections.abc import Sequence

from jurist.records import Failure, JudgeOutcome, Judgment
from jurist.validation.labelled import LabelledItem
from jurist_validate.rater import Rater, Reading, ShownOrder


def judge_raters(items: Sequence[LabelledItem]) -> list[Rater]:
    """Every judge that voted on one of ``items``, in the order of their first votes.

    A judge labels an item by the mean of the preferences of both orders, as it does before a jury's
    aggregator; where it was asked in both and one has no verdict, it gives no label.
    """
    readings: dict[str, list[Reading]] = {}
    for item in items:
        votes = item.votes_by_judge()
        for outcome in item.outcomes:
            reading = Reading(
                item, preference_of(outcome), _reason(outcome), _shown(outcome), votes[outcome.source]
            )
            readings.setdefault(outcome.source, []).append(reading)
    return [Rater(name, "judge", tuple(found)) for name, found in readings.items()]


def preference_of(outcome: JudgeOutcome) -> float | None:
    """P(A is better) by an outcome; None for an abstention or a failure."""
    return outcome.preference if isinstance(outcome, Judgment) else None


def _reason(outcome: JudgeOutcome) -> str:
    if isinstance(outcome, Judgment):
        return ""
    return "failure" if isinstance(outcome, Failure) else outcome.reason


def _shown(outcome: JudgeOutcome) -> dict[ShownOrder, float | None]:
    if outcome.order == "both":
        return {"ba" if part.order == "ba" else "ab": preference_of(part) for part in outcome.parts}
    said = preference_of(outcome)
    if outcome.order == "either":  # the order plays no part, so it says the same in both
        return {"ab": said, "ba": said}
    return {"mixed" if outcome.order == "mixed" else "ba" if outcome.order == "ba" else "ab": said}
