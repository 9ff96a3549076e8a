"""The records that stages write, one JSON line each, and that reports and checks read back."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Literal

from pydantic import Field

from jurist.records import (
    Comparison,
    Decision,
    JudgeOutcome,
    Message,
    Prompt,
    Reason,
    Record,
    Response,
    ResponseOutcome,
    Score,
    ScoreOutcome,
)
from jurist.training.channel import Which


class Revision(Record):
    """A row for supervised fine-tuning. ``round`` 0 is an initial response that needed no revision."""

    prompt: tuple[Message, ...]
    completion: tuple[Message, ...]
    round: int
    prompt_id: str
    tags: tuple[str, ...] = ()


class Candidate(Record):
    """A response, with what every scorer said; of one that cannot be learnt, none is asked."""

    response: ResponseOutcome
    scores: dict[str, ScoreOutcome] = Field(default={})

    @property
    def score(self) -> float | None:
        """The mean of the scorers' scores; None unless every one of them gave a number."""
        return mean_score(self.scores)


class Candidates(Record):
    """A prompt with its responses, in the order in which they were sampled.

    ``best`` is the number of the one with the highest score, from 0: of equals the first, None where none
    has a score.
    """

    prompt: Prompt
    candidates: tuple[Candidate, ...]
    best: int | None = None

    @classmethod
    def of(cls, prompt: Prompt, candidates: Sequence[Candidate]) -> Candidates:
        """The same, with the best of them found."""
        scores = {n: each.score for n, each in enumerate(candidates)}
        found = {number: score for number, score in scores.items() if score is not None}
        best = max(found, key=found.__getitem__, default=None)
        return cls(prompt=prompt, candidates=tuple(candidates), best=best)


class BestResponse(Record):
    """A row for supervised fine-tuning: the ``sample``-th response, from 0, and every sample's score."""

    prompt: tuple[Message, ...]
    completion: tuple[Message, ...]
    sample: int
    score: float
    scores: tuple[float | None, ...]
    prompt_id: str
    tags: tuple[str, ...] = ()


def mean_score(scores: Mapping[str, ScoreOutcome]) -> float | None:
    """The mean of what scorers gave; None unless every one of them gave a finite number."""
    values = [score.value for score in scores.values() if isinstance(score, Score)]
    is_whole = values and len(values) == len(scores) and all(map(math.isfinite, values))
    return fmean(values) if is_whole else None


class Judged(Record):
    """A comparison with everything that was said of it and the decision."""

    comparison: Comparison
    outcomes: tuple[JudgeOutcome, ...]
    decision: Decision

    @property
    def preferred(self) -> Literal["A", "B"] | None:
        """The side that was decided for; None where none was."""
        probability = self.decision.probability
        if probability is None or probability == 0.5:
            return None
        return "A" if probability > 0.5 else "B"


def outcome_of(decision: Decision) -> str:
    """One word for progress and counts: ``preferred``, ``tie``, or why it was set aside."""
    if decision.probability is None:
        return str(decision.reason)
    return "tie" if decision.probability == 0.5 else "preferred"


class SetAside(Record):
    """A comparison that gave no preference, and why; ``knock_out``: it only served to find the best."""

    prompt_id: str
    comparison_id: str
    reason: Reason | Literal["knock_out"]
    detail: str
    aggregator: str


class Evaluated(Record):
    """One policy's response to one prompt, with what every scorer said.

    ``log_ratio`` is log π(response) − log π_reference(response), in nats, when it was asked for.
    """

    policy: str
    prompt: Prompt
    response: ResponseOutcome
    scores: dict[str, ScoreOutcome] = Field(default={})
    log_ratio: float | None = None


class ScoredResponse(Record):
    """A response of the policy in training, with what every scorer said of it.

    ``asked_by`` is ``score`` for rewards and ``measure`` for responses to held-out prompts. ``value`` is the
    mean of the scores; None unless every scorer gave a finite number.
    """

    asked_by: Which
    prompt: Prompt
    response: Response
    scores: dict[str, ScoreOutcome]
    value: float | None
