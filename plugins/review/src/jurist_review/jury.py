"""What a compare stage did: its judges one by one, and sample comparisons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from jurist.intervals import Estimate, estimate
from jurist.records import JudgeOutcome, Judgment
from jurist.stages.jury import Judged, outcome_of
from jurist_review.selection import Selection

SAMPLES = 12


@dataclass
class Leaning:
    """How often a judge chose the response shown first, and the longer one; ties count for neither."""

    first: int = 0
    verdicts: int = 0
    longer: int = 0
    of_unequal: int = 0

    def add(self, judged: Judged, outcome: JudgeOutcome) -> None:
        """Count one outcome: each order it was asked in, and the length of what it chose."""
        for part in outcome.parts if outcome.order == "both" else (outcome,):
            if isinstance(part, Judgment) and part.preference != 0.5 and part.order in ("ab", "ba"):
                self.verdicts += 1
                self.first += (part.preference > 0.5) == (part.order == "ab")
        comparison = judged.comparison
        longer = len(comparison.response_a.text) - len(comparison.response_b.text)
        if isinstance(outcome, Judgment) and outcome.preference != 0.5 and longer:
            self.of_unequal += 1
            self.longer += (outcome.preference > 0.5) == (longer > 0)


@dataclass
class Member:
    """One judge: the counts of the stage's summary, and its leanings."""

    name: str
    counts: Mapping[str, int]
    leaning: Leaning

    def count(self, name: str) -> int:
        """One of the counts; what never happened is 0."""
        return self.counts.get(name, 0)

    @property
    def agreement(self) -> Estimate | None:
        """The share of its votes that went with the jury."""
        return proportion(self.count("with_jury"), self.count("votes"))

    @property
    def first(self) -> Estimate | None:
        """The share of its verdicts for the response shown first."""
        return proportion(self.leaning.first, self.leaning.verdicts)

    @property
    def longer(self) -> Estimate | None:
        """The share of its judgments for the longer response."""
        return proportion(self.leaning.longer, self.leaning.of_unequal)


@dataclass
class Jury:
    """The judges of a stage and its sample comparisons."""

    members: list[Member]
    samples: list[Judged] = field(default_factory=list)


def summarise(judged: Iterable[Judged], summary: Mapping[str, Any]) -> Jury:
    """Count the leanings and choose the samples, in one pass."""
    selection = Selection[Judged](SAMPLES)
    leanings: dict[str, Leaning] = {}
    for item in judged:
        selection.offer(_group(item), item.comparison.id, item)
        for outcome in item.outcomes:
            leanings.setdefault(outcome.source, Leaning()).add(item, outcome)
    counts = summary.get("judges", {})
    members = [Member(name, counts.get(name, {}), leanings.get(name, Leaning())) for name in counts]
    return Jury(members, selection.in_turn())


def proportion(part: int, whole: int) -> Estimate | None:
    """A share with its 95% interval; None when there is nothing to have a share of."""
    return estimate([1] * part + [0] * (whole - part)) if whole else None


def _group(judged: Judged) -> str:
    """Items that went the same way: the decision, and whether the judges were of one mind."""
    votes = {o.preference > 0.5 for o in judged.outcomes if isinstance(o, Judgment) and o.preference != 0.5}
    return f"{outcome_of(judged.decision)}, {'divided' if len(votes) > 1 else 'of one mind'}"
