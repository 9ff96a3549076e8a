"""Majority vote."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field

from jurist.aggregators.votes import Votes
from jurist.contracts import Aggregator
from jurist.options import Options
from jurist.records import Comparison, Decision, JudgeOutcome, Reason


class MajorityOptions(Options):
    """``min_agreement``: share of the votes cast that must be for the winner.

    ``min_votes``: how many judges must have cast one. ``probability``: the ``mean`` of the
    preferences cast, or the ``share`` of the votes, in both cases at least 0.5 for the winner.
    """

    min_agreement: float = Field(default=0.0, ge=0, le=1)
    min_votes: int = Field(default=1, ge=1)
    probability: Literal["mean", "share"] = "mean"


class MajorityVote(Aggregator):
    """Decides for the side with more votes than the other and than the ties."""

    Options = MajorityOptions
    options: MajorityOptions

    def decide(self, comparison: Comparison, outcomes: Sequence[JudgeOutcome]) -> Decision:
        """Decided, or undecided with ``no_votes``, ``tie`` or ``no_majority``."""
        votes = Votes.of(outcomes)
        cast = len(votes.preferences)
        winning = max(votes.for_a, votes.for_b)
        if cast == 0:
            return _undecided("no_votes", votes)
        if votes.ties >= winning:
            return _undecided("tie", votes)
        if cast < self.options.min_votes or votes.for_a == votes.for_b:
            return _undecided("no_majority", votes)
        share = winning / cast
        if share < self.options.min_agreement:
            return _undecided("no_majority", votes)
        probability = self._probability(votes, share, votes.for_a > votes.for_b)
        # more votes for one, and on the whole as much or more for the other: worth a word
        detail = str(votes) if probability == 0.5 else ""
        return Decision(status="decided", probability=probability, detail=detail, aggregator="majority")

    def _probability(self, votes: Votes, share: float, a_wins: bool) -> float:
        if self.options.probability == "share":
            return max(share, 0.5) if a_wins else 1 - max(share, 0.5)
        return max(votes.mean, 0.5) if a_wins else min(votes.mean, 0.5)


def _undecided(reason: Reason, votes: Votes) -> Decision:
    return Decision(status="undecided", reason=reason, detail=str(votes), aggregator="majority")
