"""Sampled: a prompt with all that came of it in a compare stage, and the counts over many of them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from jurist.orders import flipped
from jurist.records import Abstention, Failure, Judgment, Outcome, Prompt, ResponseOutcome
from jurist.stages.base import tally
from jurist.stages.jury import Judged, outcome_of


@dataclass(frozen=True)
class Sampled:
    """A prompt with its sampled responses and the comparisons made of them.

    ``unpaired`` counts the pairs that could not be made: equal or empty texts, missing responses.
    """

    prompt: Prompt
    judged: Sequence[Judged]
    responses: Sequence[ResponseOutcome] = ()
    unpaired: int = 0


class Tallies:
    """Counts over comparisons, for the summary."""

    def __init__(self) -> None:
        self._decisions: Counter[str] = Counter()
        self._responses: Counter[str] = Counter()
        self._judges: dict[str, Counter[str]] = {}
        self._errors: dict[str, str] = {}

    def add(self, sampled: Sampled) -> list[str]:
        """Count one prompt; returns the outcome of each of its comparisons."""
        self._responses.update(response.kind for response in sampled.responses)
        self._note_errors(sampled.responses)
        for judged in sampled.judged:
            self._add_outcomes(judged)
        outcomes = [outcome_of(judged.decision) for judged in sampled.judged]
        outcomes += ["unpaired"] * sampled.unpaired
        self._decisions.update(outcomes)
        return outcomes

    def _note_errors(self, outcomes: Sequence[Outcome]) -> None:
        for outcome in outcomes:
            if isinstance(outcome, Failure):
                self._errors.setdefault(outcome.source, f"{outcome.source}: {outcome.error}")

    def _add_outcomes(self, judged: Judged) -> None:
        self._note_errors(judged.outcomes)
        for outcome in judged.outcomes:
            counts = self._judges.setdefault(outcome.source, Counter())
            counts["comparisons"] += 1
            if isinstance(outcome, Abstention):
                counts[outcome.reason] += 1
            for part in outcome.parts or (outcome,):
                counts["asked"] += 1
                counts[f"{part.kind}s" if part.kind != "abstention" else "abstentions"] += 1
            votes = [part for part in outcome.parts if isinstance(part, Judgment)]
            counts["flips"] += len(votes) == 2 and flipped(*votes)
            decided = judged.decision.probability
            if (
                decided is not None
                and isinstance(outcome, Judgment)
                and 0.5 not in (decided, outcome.preference)
            ):
                counts["votes"] += 1
                counts["with_jury"] += (outcome.preference > 0.5) == (decided > 0.5)

    def faults(self) -> tuple[str, ...]:
        """Why there is nothing: a failure of each, when everyone who was asked failed every time."""
        failed = [counts["asked"] == counts["failures"] for counts in self._judges.values()]
        nobody = bool(failed) and all(failed)
        no_response = self._responses["failure"] == self._responses.total() > 0
        return tuple(self._errors.values()) if nobody or no_response else ()

    def summary(self) -> dict[str, Any]:
        """The counts."""
        return {
            "responses": tally(self._responses),
            "comparisons": self._decisions.total() - self._decisions["unpaired"],
            "decisions": tally(self._decisions),
            "judges": {name: dict(counts) for name, counts in self._judges.items()},
        }
