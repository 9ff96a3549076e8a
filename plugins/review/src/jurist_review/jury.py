"""What a compare stage did: its judges one by one, and sample comparisons."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, get_args

from jurist.intervals import Estimate, wilson
from jurist.records import JudgeOutcome, Judgment, Reason
from jurist.stage_records import Judged, outcome_of
from jurist.validation.labelled import Label
from jurist_review.browsing import BrowsedRow, Browser, Section
from jurist_review.calibration import AgainstPeople, Reliability
from jurist_review.confusion import Confusion, Pair
from jurist_review.display import worded
from jurist_review.selection import Selection

SAMPLES = 12
_LONGEST_ERROR = 200


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
    def reasons(self) -> dict[str, int]:
        """The comparisons on which it abstained, by reason."""
        return {reason: self.counts[reason] for reason in get_args(Reason) if self.counts.get(reason)}

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
    """The judges of a stage, what people say of its labels, and its sample comparisons."""

    members: list[Member]
    samples: list[Judged] = field(default_factory=list)
    pairs: list[Pair] = field(default_factory=list)
    reliability: Reliability | None = None


def summarise(
    judged: Iterable[Judged], summary: Mapping[str, Any], labels: Mapping[str, Label], browser: Browser
) -> Jury:
    """Count what judges said and choose the samples, in one pass; ``labels`` are those of people."""
    selection = Selection[Judged](SAMPLES)
    confusion, people = Confusion(), AgainstPeople(labels)
    leanings: dict[str, Leaning] = {}
    for item in judged:
        selection.offer(_group(item), item.comparison.id, item)
        browser.add(_browsed(item))
        confusion.add(item.outcomes)
        people.add(item)
        for outcome in item.outcomes:
            leanings.setdefault(outcome.source, Leaning()).add(item, outcome)
    counts = summary.get("judges", {})
    members = [Member(name, counts.get(name, {}), leanings.get(name, Leaning())) for name in counts]
    return Jury(members, selection.in_turn(), confusion.pairs(), people.reliability("the jury"))


def proportion(part: int, whole: int) -> Estimate | None:
    """A share with its 95% interval; None when there is nothing to have a share of."""
    return wilson(part / whole, whole, whole) if whole else None


def winner(judged: Judged) -> str:
    """One word or two for what was decided: a side, a tie, or why it was set aside."""
    outcome = outcome_of(judged.decision)
    if outcome == "preferred":
        return f"{judged.preferred} is better"
    # Some aggregators say that a tie is even, others that they cannot decide: it has no label either way.
    return "a tie" if outcome == "tie" else f"set aside: {worded(outcome)}"


def said(judged: Judged) -> str:
    """What every judge said, one a line."""
    lines = []
    for each in judged.outcomes:
        if isinstance(each, Judgment):
            lines.append(f"{each.source}: P(A) = {each.preference:.3f}")
        else:
            reason = worded(each.reason) if each.kind == "abstention" else each.error[:_LONGEST_ERROR]
            lines.append(f"{each.source}: {each.kind}, {reason}")
    return "\n".join(lines) or "no judge was asked"


def _browsed(judged: Judged) -> BrowsedRow:
    """The row of a comparison; opened, it shows the texts and what the judges said."""

    def sections() -> list[Section]:
        comparison, decision = judged.comparison, judged.decision
        texts = (comparison.response_a, "Response A"), (comparison.response_b, "Response B")
        shown = [Section.of(name, response) for response, name in texts]
        what = f"{winner(judged)}; {decision.aggregator} {decision.detail}"
        return [*shown, Section.text("Decision", what), Section.text("Judges", said(judged))]

    probability = judged.decision.probability
    value = "" if probability is None else f"{probability:.3f}"
    return BrowsedRow(judged.comparison.id, judged.comparison.prompt, winner(judged), value, sections)


def _group(judged: Judged) -> str:
    """Items that went the same way: the decision, and whether the judges were of one mind."""
    votes = {o.preference > 0.5 for o in judged.outcomes if isinstance(o, Judgment) and o.preference != 0.5}
    return f"{outcome_of(judged.decision)}, {'divided' if len(votes) > 1 else 'of one mind'}"
