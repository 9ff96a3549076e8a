"""Scorers: those that a stage names, and what all of them say of a response."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import cast

from jurist.constitution import Principle
from jurist.contracts import Scorer
from jurist.records import Prompt, Response, ScoreOutcome
from jurist.selection import labels_of
from jurist.stage_settings import Reference
from jurist.stages.base import ComponentUse, Stage
from jurist.stages.surroundings import Surroundings


class Scorers:
    """The scorers that a stage names, each with its label."""

    def __init__(self, stage: Stage, references: Sequence[Reference], surroundings: Surroundings) -> None:
        self._scorers: dict[str, Scorer] = {
            label: cast(Scorer, stage.build(surroundings, "scorer", reference, f"scorers.{label}"))
            for label, reference in zip(labels_of(references), references, strict=True)
        }

    async def score(
        self, prompt: Prompt, response: Response, principles: Sequence[Principle]
    ) -> dict[str, ScoreOutcome]:
        """What every scorer says, by its label."""
        scorers = self._scorers.values()
        scores = await asyncio.gather(*(scorer.score(prompt, response, principles) for scorer in scorers))
        return dict(zip(self._scorers, scores, strict=True))


def scorer_references(stage: str, scorers: Sequence[Reference]) -> list[ComponentUse]:
    """The components that a stage of that name scores with."""
    return [
        ComponentUse(f"stages.{stage}.scorers.{number}", "scorer", scorer)
        for number, scorer in enumerate(scorers)
    ]


def scorer_faults(stage: str, scorers: Sequence[Reference]) -> list[str]:
    """Names that do not differ."""
    labels = labels_of(scorers)
    if len(set(labels)) == len(labels):
        return []
    return [f"stages.{stage}.scorers: give each its own 'name:' ({', '.join(labels)})"]
