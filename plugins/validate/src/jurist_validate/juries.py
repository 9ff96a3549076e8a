"""Aggregators as raters: what each makes of the recorded votes on every item."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from jurist.contracts import Aggregator
from jurist.errors import UsageError
from jurist.labelled import LabelledItem
from jurist.records import Decision, JudgeOutcome
from jurist_validate.cross_validation import folds_of, learners_of
from jurist_validate.rater import Rater, Reading, ShownOrder


def jury_rater(name: str, make: Callable[[], Aggregator], items: Sequence[LabelledItem], seed: int) -> Rater:
    """The aggregator that ``make`` makes; one that learns decides only what it was not fitted on.

    One that refuses to be fitted or to decide has no readings, and its message as ``problem``.
    """
    try:
        aggregator = make()
        if not learners_of(aggregator):
            return Rater(name, "aggregator", tuple(read(aggregator, item) for item in items))
        return _cross_validated(name, make, items, seed)
    except UsageError as error:
        return Rater(name, "aggregator", (), problem=_one_line(error))


def read(aggregator: Aggregator, item: LabelledItem) -> Reading:
    """What ``aggregator`` decides of ``item``, from the orders together and from each by itself."""
    decision = aggregator.decide(item.comparison, item.outcomes)
    preference = _preference(decision)
    shown = _shown(aggregator, item, preference)
    reason = (decision.reason or "") if preference is None else ""
    return Reading(item, preference, reason, shown, item.votes)


def _cross_validated(
    name: str, make: Callable[[], Aggregator], items: Sequence[LabelledItem], seed: int
) -> Rater:
    folds = folds_of(items, seed)
    readings: dict[int, Reading] = {}
    for held_out in folds:
        rest = [item for number, item in enumerate(items) if number not in held_out]
        aggregator = make()
        for learner in learners_of(aggregator):
            learner.fit(rest)
        readings.update({number: read(aggregator, items[number]) for number in held_out})
    ordered = tuple(readings[number] for number in range(len(items)))
    return Rater(name, "aggregator", ordered, folds=len(folds))


def _preference(decision: Decision) -> float | None:
    """A tie that the aggregator found is a verdict; anything else undecided or set aside is none."""
    return 0.5 if decision.reason == "tie" else decision.probability


def _shown(
    aggregator: Aggregator, item: LabelledItem, decided: float | None
) -> dict[ShownOrder, float | None]:
    """What it decides where all judges see one order; a judge that was asked in one alone speaks in both.

    Empty where the aggregator refuses to decide from one order.
    """
    orders = {outcome.order for outcome in item.outcomes}
    if "both" not in orders:
        return {"ba" if orders == {"ba"} else "ab": decided} if orders else {}
    shown: dict[ShownOrder, float | None] = {}
    try:
        for order in ("ab", "ba"):
            seen = [_in_order(outcome, order) for outcome in item.outcomes]
            shown[order] = _preference(aggregator.decide(item.comparison, seen))
    except UsageError:
        return {}
    return shown


def _in_order(outcome: JudgeOutcome, order: ShownOrder) -> JudgeOutcome:
    if outcome.order != "both":
        return outcome
    return next(part for part in outcome.parts if part.order == order)


def _one_line(error: UsageError) -> str:
    return "; ".join([*error.what.splitlines(), *([error.cause] if error.cause else [])])
