"""Tallies of a compare stage: all that came of each prompt, and the counts over many of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jurist.records import OnFlip, Prompt, Response, ResponseOutcome
from jurist.stage_records import Judged, outcome_of
from jurist.stages.base import tally
from jurist.stages.judge_counts import JudgeCounts
from jurist.stages.triads import Triads


@dataclass(frozen=True)
class Sampled:
    """A prompt with its sampled responses and the comparisons made of them.

    Where there is a ``best`` response, only comparisons with it are asked for; the others served to find it.
    ``unpaired`` counts the pairs that could not be made: equal or empty texts, missing responses.
    ``unneeded`` counts those that verdicts made superfluous.
    """

    prompt: Prompt
    judged: Sequence[Judged]
    responses: Sequence[ResponseOutcome] = ()
    best: Response | None = None
    unpaired: int = 0
    unneeded: int = 0

    def asks_for(self, judged: Judged) -> bool:
        """Whether a preference is to come of this comparison."""
        shown = judged.comparison.response_a.text, judged.comparison.response_b.text
        return self.best is None or self.best.text in shown

    def outcome(self, judged: Judged) -> str:
        """One word for progress and counts."""
        word = outcome_of(judged.decision)
        return word if word != "preferred" or self.asks_for(judged) else "knock_out"

    def triads(self) -> Triads:
        """Those among its decided comparisons."""
        verdicts = []
        for judged in self.judged:
            first, second = judged.comparison.response_a.text, judged.comparison.response_b.text
            if judged.preferred is not None:
                verdicts.append((first, second) if judged.preferred == "A" else (second, first))
        return Triads.among(verdicts)


class Tallies:
    """Counts over comparisons, for the summary; ``on_flip`` is that of the stage."""

    def __init__(self, on_flip: OnFlip) -> None:
        self._decisions: Counter[str] = Counter()
        self._responses: Counter[str] = Counter()
        self._judges = JudgeCounts(on_flip)
        self._triads = Triads()

    def add(self, sampled: Sampled) -> list[str]:
        """Count one prompt; returns the outcome of each comparison that it could have had."""
        self._responses.update(response.kind for response in sampled.responses)
        for response in sampled.responses:
            self._judges.note_error(response)
        for judged in sampled.judged:
            self._judges.add(judged.outcomes, judged.decision.probability)
        triads = sampled.triads()
        self._triads = Triads(self._triads.total + triads.total, self._triads.cyclic + triads.cyclic)
        outcomes = [sampled.outcome(judged) for judged in sampled.judged]
        outcomes += ["unpaired"] * sampled.unpaired
        self._decisions.update(outcomes)
        return outcomes + ["unneeded"] * sampled.unneeded

    def faults(self) -> tuple[str, ...]:
        """Why there is nothing: a failure of each, when everyone who was asked failed every time."""
        no_response = self._responses["failure"] == self._responses.total() > 0
        return self._judges.errors if self._judges.all_failed or no_response else ()

    def summary(self) -> dict[str, Any]:
        """The counts."""
        return {
            "responses": tally(self._responses),
            "comparisons": self._decisions.total() - self._decisions["unpaired"],
            "decisions": tally(self._decisions),
            "triads": self._triads.total,
            "cycles": self._triads.cyclic,
            "judges": self._judges.summary(),
        }
