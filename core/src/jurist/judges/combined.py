"""Combined: one outcome of what several judges said."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Any

from jurist.records import Abstention, Failure, JudgeOutcome, Judgment, Usage


def mean_of(parts: Sequence[JudgeOutcome], weights: Sequence[float] | None = None) -> JudgeOutcome:
    """The mean preference of those who judged; where nobody did, why.

    ``weights`` has one for each part, where all of them judged.
    """
    judgments = [part for part in parts if isinstance(part, Judgment)]
    if not judgments:
        return silence_of(parts)
    methods = dict.fromkeys(judgment.method for judgment in judgments)
    mean = fmean((judgment.preference for judgment in judgments), weights)
    return Judgment(preference=min(mean, 1.0), method="+".join(methods), **shared(parts))


def silence_of(parts: Sequence[JudgeOutcome]) -> Abstention | Failure:
    """A failure where there is one, since repeating the run may mend it; else the first abstention."""
    for part in parts:
        if isinstance(part, Failure):
            error = f"{part.source}: {part.error}"
            return Failure(error=error, retryable=part.retryable, **shared(parts))
    silent = next(part for part in parts if isinstance(part, Abstention))
    detail = f"{silent.source}: {silent.detail}".strip(": ")
    return Abstention(reason=silent.reason, detail=detail, **shared(parts))


def shared(parts: Sequence[JudgeOutcome]) -> dict[str, Any]:
    """What every outcome of several has: these, and what they cost in all."""
    return {"parts": tuple(parts), "usage": sum((part.usage for part in parts), Usage())}
