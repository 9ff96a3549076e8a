"""Votes: the judgments among a jury's outcomes, counted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jurist.records import Failure, JudgeOutcome, Judgment


@dataclass(frozen=True)
class Votes:
    """The preferences that were cast, and how many judges cast none."""

    preferences: tuple[float, ...]
    abstained: int
    failed: int

    @classmethod
    def of(cls, outcomes: Sequence[JudgeOutcome]) -> Votes:
        """Count ``outcomes``; only a judgment is a vote."""
        preferences = tuple(o.preference for o in outcomes if isinstance(o, Judgment))
        failed = sum(isinstance(o, Failure) for o in outcomes)
        return cls(preferences, len(outcomes) - len(preferences) - failed, failed)

    @property
    def for_a(self) -> int:
        """How many prefer A."""
        return sum(p > 0.5 for p in self.preferences)

    @property
    def for_b(self) -> int:
        """How many prefer B."""
        return sum(p < 0.5 for p in self.preferences)

    @property
    def ties(self) -> int:
        """How many declared a tie."""
        return sum(p == 0.5 for p in self.preferences)

    @property
    def mean(self) -> float:
        """Mean preference of the votes cast; there must be one."""
        return sum(self.preferences) / len(self.preferences)

    def __str__(self) -> str:
        cast = f"{self.for_a} for A, {self.for_b} for B, {self.ties} ties"
        return f"{cast}; {self.abstained} abstained, {self.failed} failed"
