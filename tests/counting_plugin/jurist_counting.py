"""A plugin whose components answer by the content of what they are asked, and write down every call.

Each call takes COUNTING_DELAY seconds and is a line of the file COUNTING_LOG, written when it begins:
the lines survive whatever happens to the process.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Iterator, Sequence
from typing import ClassVar

from jurist import Component, Sampling, hookimpl
from jurist.constitution import Principle
from jurist.contracts import Critic, Generator, Judge, Reviser, Scorer
from jurist.engine.limits import Limits
from jurist.records import (
    Comparison,
    Critique,
    CritiqueOutcome,
    Finding,
    JudgeOutcome,
    Judgment,
    Prompt,
    Response,
    ResponseOutcome,
    Score,
    ScoreOutcome,
    content_id,
)

CONCURRENCY = 4


async def called(kind: str, *asked: object) -> int:
    """Write down a call, take a while, and return a number that depends on what was asked alone."""
    key = content_id(kind, *asked)
    log = os.open(os.environ["COUNTING_LOG"], os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(log, f"{kind} {key}\n".encode())
    os.close(log)
    await asyncio.sleep(float(os.environ.get("COUNTING_DELAY", "0")))
    return int(key, 16)


class CountingGenerator(Generator):
    limits: ClassVar[Limits] = Limits(concurrency=CONCURRENCY)

    async def generate(self, prompt: Prompt, sampling: Sampling) -> ResponseOutcome:
        number = await called("generate", prompt.id, sampling.seed)
        return Response(text=f"answer {number % 9973}")


class CountingCritic(Critic):
    capabilities: ClassVar[frozenset[str]] = frozenset({"verdicts"})
    limits: ClassVar[Limits] = Limits(concurrency=CONCURRENCY)

    async def critique(
        self, prompt: Prompt, response: Response, principles: Sequence[Principle]
    ) -> CritiqueOutcome:
        number = await called("critique", prompt.id, response.text, [each.name for each in principles])
        return Critique(
            findings=tuple(
                Finding(principle=each.name, satisfied=bool(number >> place & 3))
                for place, each in enumerate(principles)
            )
        )


class CountingReviser(Reviser):
    limits: ClassVar[Limits] = Limits(concurrency=CONCURRENCY)

    async def revise(
        self,
        prompt: Prompt,
        response: Response,
        critique: CritiqueOutcome,
        principles: Sequence[Principle],
        sampling: Sampling,
    ) -> ResponseOutcome:
        number = await called("revise", prompt.id, response.text, sampling.seed)
        return Response(text=f"better answer {number % 9973}")


class CountingJudge(Judge):
    limits: ClassVar[Limits] = Limits(concurrency=CONCURRENCY)

    async def judge(self, comparison: Comparison, principles: Sequence[Principle]) -> JudgeOutcome:
        shown = comparison.prompt.id, comparison.response_a.text, comparison.response_b.text
        number = await called("judge", *shown, [each.name for each in principles])
        return Judgment(preference=number % 101 / 100)


class CountingScorer(Scorer):
    limits: ClassVar[Limits] = Limits(concurrency=CONCURRENCY)

    async def score(
        self, prompt: Prompt, response: Response, principles: Sequence[Principle]
    ) -> ScoreOutcome:
        number = await called("score", prompt.id, response.text)
        return Score(value=number % 101 / 100)


@hookimpl
def jurist_generators() -> Iterator[Component]:
    yield Component("counting", "jurist_counting:CountingGenerator", "Answers with a number.")


@hookimpl
def jurist_critics() -> Iterator[Component]:
    yield Component("counting", "jurist_counting:CountingCritic", "Finds fault now and then.")


@hookimpl
def jurist_revisers() -> Iterator[Component]:
    yield Component("counting", "jurist_counting:CountingReviser", "Answers with another number.")


@hookimpl
def jurist_judges() -> Iterator[Component]:
    yield Component("counting", "jurist_counting:CountingJudge", "Prefers by a number.")


@hookimpl
def jurist_scorers() -> Iterator[Component]:
    yield Component("counting", "jurist_counting:CountingScorer", "Scores by a number.")
