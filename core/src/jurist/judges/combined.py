"""Combined: one outcome of what several judges said."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from statistics import fmean
from typing import Any, Literal

from jurist.judges import orders
from jurist.records import NO_USAGE, Abstention, Failure, JudgeOutcome, Judgment, Order


def mean_of(parts: Sequence[JudgeOutcome], weights: Sequence[float] | None = None) -> JudgeOutcome:
    """The mean preference of those who judged; where nobody did, why.

    ``weights`` has one for each part. Where all were shown both orders, the ``parts`` are what all of them
    said in the order A-B and in the order B-A, so that a position bias shows.
    """
    judged = [number for number, part in enumerate(parts) if isinstance(part, Judgment)]
    if not judged:
        return silence_of(parts)
    given = None if weights is None else [weights[number] for number in judged]
    return _combined(parts, lambda said: _mean(_judgments(said, judged), given))


def word_of(parts: Sequence[JudgeOutcome], speaker: int) -> JudgeOutcome:
    """What one of them said, who judged; its ``parts`` are what all said, as in :func:`mean_of`."""
    return _combined(parts, lambda said: _mean(_judgments(said, [speaker]), None))


def silence_of(parts: Sequence[JudgeOutcome]) -> Abstention | Failure:
    """A failure where there is one, since repeating the run may mend it; else the first abstention."""
    whole = orders.silence_of(parts, [part.source for part in parts], shared(parts))
    if not _splits(parts):
        return whole
    failed = [number for number, part in enumerate(parts) if isinstance(part, Failure)]
    silent = failed or [number for number, part in enumerate(parts) if isinstance(part, Abstention)]
    halves = tuple(
        said[silent[0]].model_copy(update={**shared(said), "source": "", "order": order})
        for order, said in _by_order(parts)
    )
    return whole.model_copy(update={"order": "both", "parts": halves})


def shared(parts: Sequence[JudgeOutcome]) -> dict[str, Any]:
    """What every outcome of several has: these, what they cost in all, and the order that all were shown."""
    return {
        "parts": tuple(parts),
        "usage": sum((part.usage for part in parts), NO_USAGE),
        "order": _common_order(parts),
    }


def _common_order(parts: Sequence[JudgeOutcome]) -> Order:
    shown = {part.order for part in parts}
    if shown == {"either"}:
        return "either"
    one = shown - {"either", None}
    return "ab" if one == {"ab"} else "ba" if one == {"ba"} else "mixed"


def _combined(
    parts: Sequence[JudgeOutcome], combine: Callable[[Sequence[JudgeOutcome]], Judgment]
) -> JudgeOutcome:
    """What ``combine`` makes of all; of each order by itself, where all were shown both."""
    if not _splits(parts):
        return combine(parts).model_copy(update=shared(parts))
    ab, ba = (
        combine(said).model_copy(update={**shared(said), "order": order}) for order, said in _by_order(parts)
    )
    return orders.merged(ab, ba)


def _splits(parts: Sequence[JudgeOutcome]) -> bool:
    """Whether it is known of each what it said in either order."""
    both = [part for part in parts if part.order == "both"]
    known = all([half.order for half in part.parts] == ["ab", "ba"] for part in both)
    return bool(both) and known and all(part.order in ("both", "either") for part in parts)


def _by_order(
    parts: Sequence[JudgeOutcome],
) -> Iterator[tuple[Literal["ab", "ba"], list[JudgeOutcome]]]:
    """What each said in the order A-B, then in the order B-A; of those it is all the same to, it is."""
    yield "ab", [part.parts[0] if part.order == "both" else part for part in parts]
    yield "ba", [part.parts[1] if part.order == "both" else _without_cost(part) for part in parts]


def _without_cost(part: JudgeOutcome) -> JudgeOutcome:
    return part.model_copy(update={"usage": NO_USAGE})


def _judgments(said: Sequence[JudgeOutcome], numbers: Sequence[int]) -> list[Judgment]:
    return [part for number in numbers if isinstance(part := said[number], Judgment)]


def _mean(judgments: Sequence[Judgment], weights: Sequence[float] | None) -> Judgment:
    methods = dict.fromkeys(judgment.method for judgment in judgments)
    mean = fmean((judgment.preference for judgment in judgments), weights)
    return Judgment(preference=min(mean, 1.0), method="+".join(methods))
