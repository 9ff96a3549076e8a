"""The chain of aggregators."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import takewhile

from pydantic import JsonValue

from jurist.contracts import Aggregator
from jurist.errors import UsageError
from jurist.records import Comparison, Decision, JudgeOutcome


class Chain(Aggregator):
    """Asks aggregators in turn; the first that decides or sets aside ends it.

    It decides before judging when its first aggregator does. Those that decide before judging come
    first: behind another they would be asked too late, and about comparisons without critiques.
    """

    def __init__(self, aggregators: Sequence[Aggregator]) -> None:
        super().__init__()
        if not aggregators:
            raise ValueError("a chain needs at least one aggregator")
        self.aggregators = tuple(aggregators)
        self._check_order()
        vars(self).update(before_judging=self.aggregators[0].before_judging)

    def _check_order(self) -> None:
        right = sorted(self.aggregators, key=lambda each: not each.before_judging)
        if right != list(self.aggregators):
            given, wanted = (
                ", ".join(type(aggregator).__name__ for aggregator in order)
                for order in (self.aggregators, right)
            )
            raise UsageError(
                f"The aggregators are in the wrong order: {given}.",
                cause="those that decide before any judge is asked come first",
                hint=f"write them under 'aggregate' in this order: {wanted}",
            )

    def identity(self) -> JsonValue:
        """The identities of its aggregators, in order."""
        return [[type(aggregator).__name__, aggregator.identity()] for aggregator in self.aggregators]

    def decide(self, comparison: Comparison, outcomes: Sequence[JudgeOutcome]) -> Decision:
        """Never undecided: what no aggregator decides is set aside with the last one's reason."""
        for aggregator in self.aggregators:
            decision = _ask(aggregator, comparison, outcomes)
            if decision.status != "undecided":
                return decision
        return decision.model_copy(update={"status": "set_aside"})

    def decide_early(self, comparison: Comparison) -> Decision | None:
        """What can be decided before any judge is asked, by the aggregators that lead the chain."""
        for aggregator in takewhile(lambda each: each.before_judging, self.aggregators):
            decision = _ask(aggregator, comparison, ())
            if decision.status != "undecided":
                return decision
        return None

    def is_enough(self, comparison: Comparison, outcomes: Sequence[JudgeOutcome]) -> bool:
        """Whether the first aggregator that goes by judges decides by these outcomes alone."""
        first = next((each for each in self.aggregators if not each.before_judging), None)
        return first is not None and _ask(first, comparison, outcomes).status == "decided"

    def check_judges(self, versions: Mapping[str, str]) -> None:
        """Have every aggregator look at them."""
        for aggregator in self.aggregators:
            aggregator.check_judges(versions)

    async def close(self) -> None:
        """Close its aggregators."""
        for aggregator in self.aggregators:
            await aggregator.close()


def _ask(aggregator: Aggregator, comparison: Comparison, outcomes: Sequence[JudgeOutcome]) -> Decision:
    decision = aggregator.decide(comparison, outcomes)
    if decision.aggregator:
        return decision
    return decision.model_copy(update={"aggregator": type(aggregator).__name__})
