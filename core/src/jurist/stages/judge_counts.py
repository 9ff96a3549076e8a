"""JudgeCounts: how often each judge was asked, and what came of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from jurist.judges.orders import flipped, inside
from jurist.records import Abstention, JudgeOutcome, Judgment, OnFlip, Outcome
from jurist.stages.first_errors import FirstErrors


class JudgeCounts:
    """Counts over comparisons, by judge, for the summary; and the first error of everyone who failed.

    ``on_flip`` is what two orders make that contradict each other, as in the recipe.
    """

    def __init__(self, on_flip: OnFlip = "average") -> None:
        self._on_flip = on_flip
        self._counts: dict[str, Counter[str]] = {}
        self._errors = FirstErrors()

    def add(self, outcomes: Iterable[JudgeOutcome], decided: float | None = None) -> None:
        """Count what the judges said of one comparison, for which the jury ``decided`` P(A is better).

        Judges inside others are counted by themselves as well.
        """
        for outcome in outcomes:
            self._count(outcome, decided)
            if outcome.parts:
                self.add((part for part in inside(outcome, self._on_flip) if part.source), decided)

    def _count(self, outcome: JudgeOutcome, decided: float | None) -> None:
        self.note_error(outcome)
        counts = self._counts.setdefault(outcome.source, Counter())
        counts["comparisons"] += 1
        if isinstance(outcome, Abstention):
            counts[outcome.reason] += 1
        orders = outcome.parts if outcome.order == "both" else (outcome,)
        for part in orders:
            counts["asked"] += 1
            counts[f"{part.kind}s" if part.kind != "abstention" else "abstentions"] += 1
        votes = [part for part in orders if isinstance(part, Judgment)]
        flip = len(votes) == 2 and flipped(*votes)
        counts["flips"] += flip
        counts["flips_to_first"] += flip and votes[0].preference > 0.5  # shown first, A was the better one
        if decided not in (None, 0.5) and isinstance(outcome, Judgment) and outcome.preference != 0.5:
            counts["votes"] += 1
            counts["with_jury"] += (outcome.preference > 0.5) == (decided > 0.5)

    def note_error(self, outcome: Outcome) -> None:
        """Keep the error of a failure, if it is the first of that component."""
        self._errors.note(outcome.source, outcome)

    @property
    def errors(self) -> tuple[str, ...]:
        """One error of everyone who failed."""
        return self._errors.lines

    @property
    def all_failed(self) -> bool:
        """Whether somebody was asked, and everyone who was failed every time."""
        failed = [counts["asked"] == counts["failures"] for counts in self._counts.values()]
        return bool(failed) and all(failed)

    def summary(self) -> dict[str, dict[str, int]]:
        """The counts of each judge."""
        return {name: dict(counts) for name, counts in self._counts.items()}
