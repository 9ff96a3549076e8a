"""Weighted mean."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import fsum

from pydantic import Field, field_validator

from jurist.aggregators.votes import Votes
from jurist.contracts import Aggregator
from jurist.errors import UsageError
from jurist.near_names import near_miss
from jurist.options import Options
from jurist.records import ROUNDING, Comparison, Decision, JudgeOutcome, Judgment, Reason


class WeightedOptions(Options):
    """``weights``: how much each judge counts, by its name; 0 leaves it out.

    ``threshold``: how probable the better side must be by the weighted mean preference.
    """

    weights: dict[str, float] = Field(min_length=1)
    threshold: float = Field(default=0.5, ge=0.5, le=1)

    @field_validator("weights")
    @classmethod
    def _weigh_something(cls, weights: dict[str, float]) -> dict[str, float]:
        if any(not 0 <= weight < float("inf") for weight in weights.values()) or not any(weights.values()):
            raise ValueError("weights are numbers from 0, not all of them 0")
        return weights


class WeightedMean(Aggregator):
    """Decides by the mean preference of the votes cast, each weighted by its judge.

    With the weights that judges give each other this is the jury of PRD (arXiv 2307.02762). Judges who
    abstained or failed have no part in the mean; if all who count did, it is undecided.
    """

    Options = WeightedOptions
    options: WeightedOptions

    def check_judges(self, versions: Mapping[str, str]) -> None:
        """Every judge has a weight, and every weight a judge: one left out would count nobody knows how much.

        Raises:
            UsageError: lists the names that do not match.
        """
        weights = self.options.weights
        faults = [
            f"weights.{name}: no judge has this name{near_miss(name, versions)}"
            for name in weights.keys() - versions.keys()
        ]
        faults += [
            f"weights: judge '{name}' has none; give it one, or 0 to leave it out"
            for name in versions.keys() - weights.keys()
        ]
        if faults:
            raise UsageError.of_faults("aggregator 'weighted'", sorted(faults))

    def decide(self, comparison: Comparison, outcomes: Sequence[JudgeOutcome]) -> Decision:
        """Decided, or undecided with ``no_votes``, ``tie`` or ``low_confidence``."""
        weights = self.options.weights
        counted = [outcome for outcome in outcomes if weights.get(outcome.source, 0) > 0]
        votes = Votes.of(counted)
        if not votes.preferences:
            return _undecided("no_votes", str(votes))
        if votes.ties == len(votes.preferences):
            return _undecided("tie", str(votes))
        mean = self._mean([outcome for outcome in counted if isinstance(outcome, Judgment)])
        if abs(mean - 0.5) < ROUNDING or max(mean, 1 - mean) < self.options.threshold - ROUNDING:
            return _undecided("low_confidence", f"weighted mean preference {mean:.3f}; {votes}")
        return Decision(status="decided", probability=mean, aggregator="weighted")

    def _mean(self, judgments: Sequence[Judgment]) -> float:
        weights = [self.options.weights[judgment.source] for judgment in judgments]
        weighed = (w * judgment.preference for w, judgment in zip(weights, judgments, strict=True))
        return min(fsum(weighed) / fsum(weights), 1.0)


def _undecided(reason: Reason, detail: str) -> Decision:
    return Decision(status="undecided", reason=reason, detail=detail, aggregator="weighted")
