"""What an aggregator promises."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import ClassVar

import pytest

from jurist.contracts import Aggregator
from jurist.records import Abstention, Comparison, Decision, Failure, JudgeOutcome, Judgment
from jurist.testing.kit.component import ComponentContract
from jurist.testing.kit.samples import sample_comparisons

Jury = Sequence[JudgeOutcome]
SILENCES: tuple[JudgeOutcome, ...] = (
    Abstention(reason="unparsed"),
    Abstention(reason="refused"),
    Failure(error="the server did not answer", retryable=True),
)
VOICES: tuple[JudgeOutcome, ...] = (
    Judgment(preference=0.9),
    Judgment(preference=0.5),
    Judgment(preference=0.2),
    Judgment(
        preference=0.55,
        order="both",
        parts=(Judgment(preference=0.9, order="ab"), Judgment(preference=0.2, order="ba")),
    ),
)
OTHER_ORDER = {"ab": "ba", "ba": "ab"}


class AggregatorContract(ComponentContract):
    """Tests of an aggregator. One that must be fitted first is fitted in :meth:`make`."""

    contract = Aggregator
    judges: ClassVar[tuple[str, ...]] = ("first", "second", "third")
    """The names of the jury's judges, where the options speak of judges by name."""

    def samples(self) -> Sequence[Comparison]:
        """Comparisons to decide; English and Chinese by default."""
        return sample_comparisons()

    def decide(self, comparison: Comparison, jury: Jury) -> Decision:
        """The decision of a new aggregator, checked for its type."""
        decision = self.new().decide(comparison, jury)
        assert type(decision) is Decision
        return decision

    def juries(self, outcomes: Sequence[JudgeOutcome]) -> list[Jury]:
        """Every jury of the named judges that says nothing but ``outcomes``."""
        return [
            [said.model_copy(update={"source": name}) for name, said in zip(self.judges, jury, strict=True)]
            for jury in itertools.product(outcomes, repeat=len(self.judges))
        ]

    def test_some_jury_is_decided(self) -> None:
        """Decide something; override samples() or name your ``judges`` if the sample juries do not suit."""
        decisions = [self.decide(c, jury) for c in self.samples() for jury in self.juries(VOICES)]
        assert any(decision.status == "decided" for decision in decisions)

    def test_no_label_from_silence(self) -> None:
        """Never decide when every judge abstained or failed, or none was asked."""
        if self.new().before_judging:
            pytest.skip("decides from the comparison alone, without judges")
        for comparison in self.samples():
            for jury in ([], *self.juries(SILENCES)):
                decision = self.decide(comparison, jury)
                assert decision.status != "decided", f"{decision.probability} decided from {jury}"

    def test_empty_jury_is_handled(self) -> None:
        """Return a Decision for no outcomes at all; do not raise."""
        for comparison in self.samples():
            self.decide(comparison, [])

    def test_same_jury_same_decision(self) -> None:
        """Decide the same when asked the same; keep nothing between calls."""
        for comparison in self.samples():
            for jury in self.juries((*VOICES, SILENCES[0])):
                assert self.decide(comparison, jury) == self.decide(comparison, jury)

    def test_swapping_responses_swaps_the_decision(self) -> None:
        """Treat A and B alike: with everything swapped, the probability is one minus what it was."""
        for comparison in self.samples():
            for jury in self.juries((*VOICES, SILENCES[0])):
                here = self.decide(comparison, jury)
                there = self.decide(comparison.swapped(), [swapped(said) for said in jury])
                assert (there.status, there.reason) == (here.status, here.reason)
                if here.probability is not None:
                    assert there.probability == pytest.approx(1 - here.probability, abs=1e-6)


def swapped(outcome: JudgeOutcome) -> JudgeOutcome:
    """What the judge would have said of the swapped comparison."""
    changes: dict[str, object] = {
        "order": OTHER_ORDER.get(outcome.order or "", outcome.order),
        "parts": tuple(swapped(part) for part in reversed(outcome.parts)),
    }
    if isinstance(outcome, Judgment):
        changes["preference"] = 1 - outcome.preference
    return outcome.model_copy(update=changes)
