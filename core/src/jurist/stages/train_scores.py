"""Scores of a training: the responses of a policy that is being trained, scored as a trainer asks for it."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from jurist.engine.engine import Engine
from jurist.files.jsonl import append_line, write_lines
from jurist.records import Message, Outcome, Prompt, Response, Score
from jurist.stage_records import ScoredResponse, mean_score
from jurist.stage_settings import Principles, Reference
from jurist.stages.base import Stage, choose_principles, tally
from jurist.stages.scorers import Scorers
from jurist.stages.surroundings import Surroundings
from jurist.training.channel import Messages, Which


class ResponseScorers:
    """The scorers that a training asks, in the place that ``asked_by`` names.

    All responses to a prompt are held against the same principles, or their scores could not be compared.
    """

    def __init__(
        self, stage: Stage, asked_by: Which, references: Sequence[Reference], surroundings: Surroundings
    ) -> None:
        self.asked_by = asked_by
        self._stage = stage
        self._constitution = surroundings.constitution
        self._how: Principles = stage.settings.principles
        self._scorers = Scorers(stage, references, surroundings)

    async def score(self, item: tuple[Prompt, Response]) -> ScoredResponse:
        """What every scorer says of a response to a prompt."""
        prompt, response = item
        seed = str(self._stage.seed(self._stage.name, prompt.id))
        principles = choose_principles(self._constitution, self._how, seed)
        scores = await self._scorers.score(prompt, response, principles)
        return ScoredResponse(
            asked_by=self.asked_by,
            prompt=prompt,
            response=response,
            scores=scores,
            value=mean_score(scores),
        )


class ScoreLog:
    """``scores.jsonl``: all that was scored for a training, in all of its attempts.

    A training that continues from a checkpoint asks again for what it had scored since. So a response to a
    prompt counts once, by what was said of it last.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._known: dict[tuple[Which, str, str], tuple[bool, Mapping[str, str]]] = {}
        if path.exists():
            self._take_over()

    def _take_over(self) -> None:
        """Count what earlier attempts wrote, and keep it, but for a line that was not finished."""
        with self._path.open("rb") as earlier, write_lines(self._path) as lines:
            for line in earlier:
                try:
                    scored = ScoredResponse.model_validate_json(line)
                except ValidationError:
                    continue
                self._count(scored)
                lines.write(scored.to_json())

    def add(self, scored: ScoredResponse) -> None:
        """Append what was said of a response.

        Raises:
            UsageError: the disk does not take it.
        """
        append_line(self._path, scored.to_json())
        self._count(scored)

    def summary(self) -> dict[str, Any]:
        """How many responses there were, how many have no score, and what each scorer said."""
        found: dict[str, Any] = {}
        for (asked_by, _, _), (is_scored, words) in self._known.items():
            counts = found.setdefault(asked_by, {"responses": 0, "without_score": 0, "scorers": {}})
            counts["responses"] += 1
            counts["without_score"] += not is_scored
            for name, word in words.items():
                counts["scorers"].setdefault(name, Counter())[word] += 1
        for counts in found.values():
            counts["scorers"] = {name: tally(each) for name, each in counts["scorers"].items()}
        return found

    def _count(self, scored: ScoredResponse) -> None:
        words = {name: _word(outcome) for name, outcome in scored.scores.items()}
        key = (scored.asked_by, scored.prompt.id, scored.response.id)
        self._known[key] = scored.value is not None, words


class TrainScores:
    """Answers a trainer: scores whole batches of responses through the engine, and logs what was said.

    ``known`` are the stage's prompts by id, so that scorers see tags and metadata that a trainer knows
    nothing of.
    """

    def __init__(
        self, scorers: ResponseScorers, engine: Engine, log: ScoreLog, known: Mapping[str, Prompt]
    ) -> None:
        self._scorers = scorers
        self._engine = engine
        self._log = log
        self._known = known

    async def __call__(self, prompts: Sequence[Messages], responses: Sequence[str]) -> list[float | None]:
        """A score each; None where a scorer abstained or failed.

        Raises:
            Stopped: the run ends here (budget, Ctrl-C).
        """
        items = (
            (self._prompt(messages), Response(text=text))
            for messages, text in zip(prompts, responses, strict=True)
        )
        values = []
        async for scored in self._engine.map(self._scorers.score, items):
            self._log.add(scored)
            values.append(scored.value)
        return values

    def _prompt(self, messages: Messages) -> Prompt:
        prompt = Prompt(messages=tuple(Message.model_validate(message) for message in messages))
        return self._known.get(prompt.id, prompt)


def _word(outcome: Outcome) -> str:
    """``score``, ``failure``, or why it abstained; a score that is no finite number is none."""
    if isinstance(outcome, Score):
        return "score" if math.isfinite(outcome.value) else "not finite"
    reason = getattr(outcome, "reason", None)
    return "failure" if reason is None else f"abstention: {reason}"
