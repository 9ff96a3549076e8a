"""Comparisons that two runs share, and what each decided of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from jurist.stage_records import Judged
from jurist_review.browsing import BrowsedRow, Browser, Section
from jurist_review.jury import said, winner
from jurist_review.selection import Selection

SAMPLES = 8


@dataclass(frozen=True)
class Decided:
    """What one run decided of a comparison, and what its judges said."""

    winner: str
    probability: float | None
    said: str

    @classmethod
    def of(cls, judged: Judged) -> Decided:
        """The part of a judged comparison that two runs can differ in."""
        return cls(winner(judged), judged.decision.probability, said(judged))


@dataclass(frozen=True)
class Changed:
    """A comparison that was decided otherwise."""

    judged: Judged
    before: Decided
    after: Decided


@dataclass
class LabelChanges:
    """Of ``shared`` comparisons what was decided before and after, and samples that differ.

    ``only_before`` and ``only_after`` count those of one run alone.
    """

    browser: Browser
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)
    samples: list[Changed] = field(default_factory=list)
    only_before: int = 0
    only_after: int = 0

    @property
    def shared(self) -> int:
        """Comparisons that both runs judged."""
        return self.counts.total()

    @property
    def changed(self) -> int:
        """Those of them that were decided otherwise."""
        return sum(count for (before, after), count in self.counts.items() if before != after)


def label_changes(before: Iterable[Judged], after: Iterable[Judged], browsed: int) -> LabelChanges:
    """Hold the decisions of two runs beside each other; of ``before`` no text is kept."""
    earlier = {judged.comparison.id: Decided.of(judged) for judged in before}
    found = LabelChanges(Browser(browsed, "comparisons that differ", "P(A)"))
    selection, seen = Selection[Changed](SAMPLES), set()
    for judged in after:
        item = judged.comparison.id
        if item not in earlier:
            found.only_after += 1
        elif item not in seen:
            seen.add(item)
            change = Changed(judged, earlier[item], Decided.of(judged))
            pair = (change.before.winner, change.after.winner)
            found.counts[pair] += 1
            if pair[0] != pair[1]:
                selection.offer(" → ".join(pair), item, change)
                found.browser.add(_browsed(change))
    found.only_before = len(earlier) - len(seen)
    found.samples = selection.in_turn()
    return found


def _browsed(change: Changed) -> BrowsedRow:
    comparison = change.judged.comparison

    def sections() -> list[Section]:
        return [
            Section.of("Response A", comparison.response_a),
            Section.of("Response B", comparison.response_b),
            Section.text(f"Before: {change.before.winner}", change.before.said),
            Section.text(f"After: {change.after.winner}", change.after.said),
        ]

    value = " → ".join("–" if p is None else f"{p:.3f}" for p in _probabilities(change))
    outcome = f"{change.before.winner} → {change.after.winner}"
    return BrowsedRow(comparison.id, comparison.prompt, outcome, value, sections)


def _probabilities(change: Changed) -> tuple[float | None, float | None]:
    return change.before.probability, change.after.probability
