"""Aggregators as raters: what each makes of the recorded votes on every item."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Literal

from jurist.contracts import Aggregator
from jurist.errors import UsageError
from jurist.records import Decision, JudgeOutcome
from jurist.validation.labelled import LabelledItem
from jurist_validate.cross_validation import folds_of, learners_of, saved_in
from jurist_validate.rater import Fit, Rater, Reading, ShownOrder


def jury_rater(name: str, make: Callable[[], Aggregator], items: Sequence[LabelledItem], seed: int) -> Rater:
    """The aggregator that ``make`` makes; one that is to be learnt decides only what it was not fitted on.

    One that was saved decides as it is, and it is told on how many of the items it may have learnt.

    One that refuses to be fitted or to decide has no readings, and its message as ``problem``.
    """
    try:
        aggregator = make()
        if not learners_of(aggregator):
            readings = tuple(read(aggregator, item) for item in items)
            return Rater(name, "aggregator", readings, fit=_fit(aggregator, items))
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
    return Rater(name, "aggregator", ordered, fit=_fit(aggregator, items, len(folds)))


def _fit(aggregator: Aggregator, items: Sequence[LabelledItem], folds: int | None = None) -> Fit:
    """How it came to be, and how many of the items have a prompt that what was saved of it learnt from."""
    saved = saved_in(aggregator)
    prompts = [each.learnt_prompts() for each in saved]
    known = [each for each in prompts if each is not None]
    seen = sum(any(item.comparison.prompt.id in each for each in known) for item in items)
    return Fit(folds=folds, saved=bool(saved), seen=seen if len(known) == len(prompts) else None)


def _preference(decision: Decision) -> float | None:
    """A tie that the aggregator found is a verdict; anything else undecided or set aside is none."""
    return 0.5 if decision.reason == "tie" else decision.probability


def _shown(
    aggregator: Aggregator, item: LabelledItem, decided: float | None
) -> dict[ShownOrder, float | None]:
    """What it decides where all judges see one order; a judge that was asked in one alone speaks in both.

    Empty where the aggregator refuses to decide from one order.
    """
    if not item.outcomes:
        return {}
    orders = {outcome.order for outcome in item.outcomes} - {"either"}
    if not orders:
        return {"ab": decided, "ba": decided}
    if "mixed" in orders or orders == {"ab", "ba"}:
        return {"mixed": decided}
    if "both" not in orders:
        return {"ba" if orders == {"ba"} else "ab": decided}
    shown: dict[ShownOrder, float | None] = {}
    try:
        one_by_one: tuple[Literal["ab", "ba"], ...] = ("ab", "ba")
        for order in one_by_one:
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
