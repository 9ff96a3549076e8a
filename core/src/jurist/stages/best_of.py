"""Best-of-n: several responses per prompt, of which the one that scorers like best is learnt."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from jurist.artifacts import StageArtifact
from jurist.constitution import Principle
from jurist.contracts import Generator
from jurist.files.jsonl import write_lines
from jurist.records import Message, Prompt, Response, ResponseOutcome
from jurist.stage_records import BestResponse, Candidate, Candidates
from jurist.stage_settings import BestOfSettings
from jurist.stages.base import ComponentUse, Stage, StageContext, StageResult, Work, choose_principles, tally
from jurist.stages.first_errors import FirstErrors
from jurist.stages.scorers import Scorers, scorer_faults, scorer_references
from jurist.stages.surroundings import Surroundings


class BestOfStage(Stage):
    """Samples responses and keeps the best of each prompt; makes ``revisions``."""

    settings: BestOfSettings

    def references(self) -> list[ComponentUse]:
        """The generator and the scorers."""
        generator = ComponentUse(f"stages.{self.name}.generator", "generator", self.settings.generator)
        return [generator, *scorer_references(self.name, self.settings.scorers)]

    def makes(self) -> StageArtifact:
        """Revisions: texts that are better than what the generator writes by itself."""
        return StageArtifact(kind="revisions", fingerprint="")

    def faults(self) -> list[str]:
        """Its prompts, and names that differ."""
        return super().faults() + scorer_faults(self.name, self.settings.scorers)

    def work(self, surroundings: Surroundings) -> Work:
        """The responses to one prompt, their scores, and the best of them."""
        built = self.build(surroundings, "generator", self.settings.generator, "generator")
        generator = cast(Generator, built)
        scorers = Scorers(self, self.settings.scorers, surroundings)

        async def candidate(prompt: Prompt, number: int, principles: Sequence[Principle]) -> Candidate:
            response = await generator.generate(prompt, self.sampling(prompt, number))
            if not isinstance(response, Response) or not response.is_complete:
                return Candidate(response=response)
            return Candidate(response=response, scores=await scorers.score(prompt, response, principles))

        async def candidates(prompt: Prompt) -> Candidates:
            # The same principles for all of a prompt's responses, or their scores could not be compared.
            seed = str(self.seed(self.name, prompt.id))
            principles = choose_principles(surroundings.constitution, self.settings.principles, seed)
            numbers = range(self.settings.samples)
            found = await asyncio.gather(*(candidate(prompt, number, principles) for number in numbers))
            return Candidates.of(prompt, found)

        return candidates

    async def execute(self, context: StageContext, folder: Path) -> StageResult:
        """Write every prompt's candidates, and the best of them for training."""
        prompts = self.prompts()
        context.events.stage_started(stage=self.name, total=len(prompts))
        tallies = _Tallies()
        with (
            write_lines(folder / "candidates.jsonl") as candidates,
            write_lines(folder / "revisions.jsonl") as revisions,
        ):
            async for found in context.engine.map(self.work(context), prompts):
                candidates.write(found.to_json())
                row = best_response(found)
                if row is not None:
                    revisions.write(row.to_json())
                tallies.add(found)
                context.events.outcome(stage=self.name, outcome="no_score" if row is None else "kept")
        summary = {"prompts": len(prompts), "revisions": revisions.count, **tallies.summary()}
        artifact = self.makes().model_copy(update={"path": folder / "revisions.jsonl"})
        return StageResult(summary, artifact, tallies.faults())


def best_response(found: Candidates) -> BestResponse | None:
    """The row for training; None where no response could be scored."""
    if found.best is None:
        return None
    scores = tuple(candidate.score for candidate in found.candidates)
    score, response = scores[found.best], found.candidates[found.best].response
    assert score is not None
    assert isinstance(response, Response)
    return BestResponse(
        prompt=found.prompt.messages,
        completion=(Message(role="assistant", content=response.text),),
        sample=found.best,
        score=score,
        scores=scores,
        prompt_id=found.prompt.id,
        tags=found.prompt.tags,
    )


class _Tallies:
    """Counts over prompts, and sums of their scores, for the summary."""

    def __init__(self) -> None:
        self._kept = self._without = 0
        self._responses: Counter[str] = Counter()
        self._scores: dict[str, Counter[str]] = {}
        self._errors = FirstErrors()
        # Of prompts whose first response has a score, so that both means are over the same prompts.
        self._compared = 0
        self._first = self._best = 0.0

    def add(self, found: Candidates) -> None:
        for candidate in found.candidates:
            self._note_response(candidate.response)
            for name, score in candidate.scores.items():
                self._scores.setdefault(name, Counter())[score.kind] += 1
                self._errors.note(name, score)
        if found.best is None:
            self._without += 1
            return
        self._kept += 1
        first, best = found.candidates[0].score, found.candidates[found.best].score
        if first is not None and best is not None:
            self._compared += 1
            self._first += first
            self._best += best

    def _note_response(self, response: ResponseOutcome) -> None:
        kind: str = response.kind
        if isinstance(response, Response) and not response.is_complete:
            kind = "cut at max_tokens" if response.finish_reason == "length" else "empty"
        self._responses[kind] += 1
        self._errors.note("response", response)

    def faults(self) -> tuple[str, ...]:
        """Why there is nothing, when no prompt has a best response: an error of each that failed."""
        return () if self._kept else self._errors.lines

    def summary(self) -> dict[str, Any]:
        found: dict[str, Any] = {
            "without_score": self._without,
            "responses": tally(self._responses),
            "scores": {name: tally(counts) for name, counts in self._scores.items()},
        }
        if self._compared:
            first, best = self._first / self._compared, self._best / self._compared
            found["score"] = {"first": first, "best": best, "gain": best - first, "n": self._compared}
        return found
