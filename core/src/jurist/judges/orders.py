"""Presentation orders: ask in both to cancel a judge's position bias, or in one that is no system's own.

Adaptive orders ask in one, and in the other where that leaves the judge unsure.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

from pydantic import Field, JsonValue

from jurist.constitution import Principle
from jurist.contracts import Judge
from jurist.options import Options
from jurist.records import ROUNDING, Abstention, Comparison, Failure, JudgeOutcome, Judgment, OnFlip


class _AroundJudge(Judge):
    """What all orders share: the judge that is shown them, which is closed with them."""

    def __init__(self, judge: Judge, options: Options | None = None) -> None:
        super().__init__(options)
        self.inner = judge

    async def close(self) -> None:
        """Close the wrapped judge."""
        await self.inner.close()


class BothOrdersOptions(Options):
    """``on_flip``: what to make of two verdicts that contradict each other."""

    on_flip: OnFlip = "average"


class BothOrders(_AroundJudge):
    """Asks a judge in both presentation orders and averages the two soft labels.

    The outcome's ``parts`` are the outcomes of the order A-B and of the order B-A, both about the
    comparison's own A and B. When one order gives no judgment there is none: half of a both-order
    judgment would carry the whole position bias. A symmetric judge is asked once.
    """

    Options = BothOrdersOptions
    options: BothOrdersOptions

    def identity(self) -> JsonValue:
        """The wrapped judge's, and how flips are treated."""
        return {"both_orders": self.options.identity(), "judge": self.inner.identity()}

    async def judge(self, comparison: Comparison, principles: Sequence[Principle]) -> JudgeOutcome:
        """The mean of both orders' preferences, or why there is none."""
        if "symmetric" in self.inner.capabilities:
            return _in_either_order(await self.inner.judge(comparison, principles))
        shown, swapped = await asyncio.gather(
            self.inner.judge(comparison, principles),
            self.inner.judge(comparison.swapped(), principles),
        )
        return merged(_in_order_ab(shown), _in_order_ba(swapped), self.options.on_flip)


class OneOrder(_AroundJudge):
    """Asks a judge once, with the responses swapped for half of the comparisons.

    Which response comes first is drawn from the two texts, whichever is called A. So a position bias
    evens out over a file whose A always comes from the same system, and a comparison and its swapped
    twin are shown alike. The outcome is about the comparison's own A and B; its ``order`` says what was
    shown. A symmetric judge is asked as it is.
    """

    def identity(self) -> JsonValue:
        """The wrapped judge's."""
        return {"one_order": True, "judge": self.inner.identity()}

    async def judge(self, comparison: Comparison, principles: Sequence[Principle]) -> JudgeOutcome:
        """The preference in the one order that is shown, or why there is none."""
        if "symmetric" in self.inner.capabilities:
            return _in_either_order(await self.inner.judge(comparison, principles))
        swapped = comparison.swapped()
        return await _shown(self.inner, _drawn(comparison, swapped), principles, comparison)


class AdaptiveOrdersOptions(BothOrdersOptions):
    """``decisive``: how probable the better side must be in the first order for that one to do."""

    decisive: float = Field(default=0.9, gt=0.5, le=1)


class AdaptiveOrders(_AroundJudge):
    """Asks a judge in one order, and in the other as well where the first is not decisive.

    Which order comes first is drawn as :class:`OneOrder` draws it. A preference of exactly 0 or 1 is a
    verdict that says nothing of how sure the judge is, so it is never decisive, and neither is a tie: such
    judges are asked in both orders. Nor are outcomes without a judgment, which stay without one.
    """

    Options = AdaptiveOrdersOptions
    options: AdaptiveOrdersOptions

    def identity(self) -> JsonValue:
        """The wrapped judge's, and when one order will do."""
        return {"adaptive_orders": self.options.identity(), "judge": self.inner.identity()}

    async def judge(self, comparison: Comparison, principles: Sequence[Principle]) -> JudgeOutcome:
        """The preference in the first order, or of both."""
        if "symmetric" in self.inner.capabilities:
            return _in_either_order(await self.inner.judge(comparison, principles))
        swapped = comparison.swapped()
        first = _drawn(comparison, swapped)
        outcome = await _shown(self.inner, first, principles, comparison)
        if not isinstance(outcome, Judgment) or self._is_decisive(outcome.preference):
            return outcome
        other = await _shown(
            self.inner, swapped if first is comparison else comparison, principles, comparison
        )
        ab, ba = (outcome, other) if first is comparison else (other, outcome)
        return merged(ab, ba, self.options.on_flip)

    def _is_decisive(self, preference: float) -> bool:
        return ROUNDING < preference < 1 - ROUNDING and is_sure(preference, self.options.decisive)


InOrders = Callable[[Judge], Judge]
"""Puts presentation orders around a judge."""


def in_orders(orders: Literal["both", "one", "adaptive"], on_flip: OnFlip, decisive: float) -> InOrders:
    """What puts these orders around a judge."""
    if orders == "both":
        return lambda judge: BothOrders(judge, BothOrdersOptions(on_flip=on_flip))
    if orders == "one":
        return OneOrder
    options = AdaptiveOrdersOptions(on_flip=on_flip, decisive=decisive)
    return lambda judge: AdaptiveOrders(judge, options)


def merged(ab: JudgeOutcome, ba: JudgeOutcome, on_flip: OnFlip = "average") -> JudgeOutcome:
    """One outcome of those of both orders, which are its ``parts``: the mean, or why there is none."""
    common: dict[str, Any] = {
        "source": ab.source,
        "usage": ab.usage + ba.usage,
        "order": "both",
        "parts": (ab, ba),
    }
    if not (isinstance(ab, Judgment) and isinstance(ba, Judgment)):
        names = [f"order {part.order}" for part in (ab, ba)]
        return silence_of((ab, ba), names, common)
    if on_flip == "abstain" and flipped(ab, ba):
        detail = f"P(A) is {ab.preference:.2f} with A first and {ba.preference:.2f} with B first"
        return Abstention(reason="inconsistent", detail=detail, **common)
    return Judgment(
        preference=(ab.preference + ba.preference) / 2,
        method=ab.method if ab.method == ba.method else f"{ab.method}+{ba.method}",
        **common,
    )


def silence_of(
    parts: Sequence[JudgeOutcome], names: Sequence[str], common: Mapping[str, Any]
) -> Abstention | Failure:
    """Why there is no judgment of ``parts``, which ``names`` tell apart: what is missing of them.

    A failure where there is one, since repeating the run may mend it; else the first abstention.
    """
    named = list(zip(names, parts, strict=True))
    for name, part in named:
        if isinstance(part, Failure):
            return Failure(error=f"{name}: {part.error}", retryable=part.retryable, **common)
    name, abstention = next((name, part) for name, part in named if isinstance(part, Abstention))
    detail = f"{name}: {abstention.detail}".strip(": ")
    return Abstention(reason=abstention.reason, detail=detail, **common)


def is_sure(preference: float, sure: float) -> bool:
    """Whether the better side is at least as probable as ``sure``."""
    return max(preference, 1 - preference) >= sure - ROUNDING


def flipped(ab: Judgment, ba: Judgment) -> bool:
    """Whether the verdicts of the two orders contradict each other (a tie contradicts nothing)."""
    return (ab.preference - 0.5) * (ba.preference - 0.5) < 0


def inside(outcome: JudgeOutcome, on_flip: OnFlip = "average") -> tuple[JudgeOutcome, ...]:
    """What the judges inside a judge of judges said, each in all the orders that it was shown."""
    if outcome.order != "both":
        return outcome.parts
    ab, ba = (half.parts for half in outcome.parts)
    return tuple(
        first if first.order == "either" else merged(first, second, on_flip)
        for first, second in zip(ab, ba, strict=True)
    )


def _drawn(comparison: Comparison, swapped: Comparison) -> Comparison:
    """The one of the two that is shown first: ids are hashes, so either is the smaller with equal chance."""
    return comparison if comparison.id <= swapped.id else swapped


async def _shown(
    judge: Judge, shown: Comparison, principles: Sequence[Principle], comparison: Comparison
) -> JudgeOutcome:
    """What a judge says when one of the two orders is shown, in the A and B of ``comparison``."""
    outcome = await judge.judge(shown, principles)
    return _in_order_ab(outcome) if shown is comparison else _in_order_ba(outcome)


# The parts of what is shown are in the A and B that were shown, so they are left out.


def _in_order_ab(outcome: JudgeOutcome) -> JudgeOutcome:
    return outcome.model_copy(update={"order": "ab", "parts": ()})


def _in_order_ba(outcome: JudgeOutcome) -> JudgeOutcome:
    if isinstance(outcome, Judgment):
        preference = 1 - outcome.preference
        return outcome.model_copy(update={"order": "ba", "preference": preference, "parts": ()})
    return outcome.model_copy(update={"order": "ba", "parts": ()})


def _in_either_order(outcome: JudgeOutcome) -> JudgeOutcome:
    """What a symmetric judge says, which may itself be of both orders."""
    return outcome if outcome.order == "both" else outcome.model_copy(update={"order": "either"})
