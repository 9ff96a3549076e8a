"""Confidence threshold."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from jurist.aggregators.votes import Votes
from jurist.contracts import Aggregator
from jurist.options import Options
from jurist.records import Comparison, Decision, JudgeOutcome, Reason


class ConfidenceOptions(Options):
    """``threshold``: how probable the better side must be by the mean preference."""

    threshold: float = Field(default=0.7, ge=0.5, le=1)


class ConfidenceThreshold(Aggregator):
    """Decides by the mean preference of the votes cast, when it is far enough from 0.5."""

    Options = ConfidenceOptions
    options: ConfidenceOptions

    def decide(self, comparison: Comparison, outcomes: Sequence[JudgeOutcome]) -> Decision:
        """Decided, or undecided with ``no_votes``, ``tie`` or ``low_confidence``."""
        votes = Votes.of(outcomes)
        if not votes.preferences:
            return _undecided("no_votes", str(votes))
        if votes.ties == len(votes.preferences):
            return _undecided("tie", str(votes))
        mean = votes.mean
        if mean == 0.5 or max(mean, 1 - mean) < self.options.threshold:
            return _undecided("low_confidence", f"mean preference {mean:.3f}; {votes}")
        return Decision(status="decided", probability=mean, aggregator="confidence")


def _undecided(reason: Reason, detail: str) -> Decision:
    return Decision(status="undecided", reason=reason, detail=detail, aggregator="confidence")
