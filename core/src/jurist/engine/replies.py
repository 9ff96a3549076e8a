"""Replies: what components answer, made fit to be counted and stored."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import TypeVar, cast

from pydantic_core import PydanticSerializationError

from jurist.chat import ChatReply
from jurist.engine.budget import Cost
from jurist.engine.ledger import MOST
from jurist.errors import whole
from jurist.events import Events
from jurist.records import Outcome, Record, Usage

Reply = TypeVar("Reply", bound=ChatReply | Outcome)
AnyRecord = TypeVar("AnyRecord", bound=Record)


class Bills:
    """Checks what components say that their calls cost: a provider may say anything.

    An amount that cannot be right would make caps hold nothing, or the ledger unreadable.
    """

    def __init__(self, events: Events) -> None:
        self._events = events
        self._told: set[str] = set()

    def checked(self, component: str, usage: Usage, estimate: Cost) -> Usage:
        """``usage``, or ``estimate`` for what of it cannot be right; that is told once for each component.

        Dollars were worked out from the tokens, so they are as wrong as these.
        """
        tokens = _possible(usage.prompt_tokens) and _possible(usage.completion_tokens)
        usd, seconds = _possible(usage.usd), _possible(usage.seconds)
        if tokens and usd and seconds:
            return usage
        if component not in self._told:
            self._told.add(component)
            said = ", ".join(f"{name} {value:g}" for name, value in usage.model_dump().items())
            self._events.notice(component, f"says what a call cannot have cost; an estimate counts ({said})")
        return Usage(
            prompt_tokens=usage.prompt_tokens if tokens else estimate.tokens,
            completion_tokens=usage.completion_tokens if tokens else 0,
            usd=usage.usd if usd and tokens else estimate.usd,
            seconds=usage.seconds if seconds else 0.0,
        )


def _possible(amount: float) -> bool:
    return 0 <= amount <= MOST  # false of NaN too


def timed(reply: Reply, seconds: float) -> Reply:
    """The reply with the time it took, unless its component measured that itself."""
    if reply.usage.seconds:
        return reply
    return with_usage(reply, reply.usage.model_copy(update={"seconds": seconds}))


def with_usage(reply: Reply, usage: Usage) -> Reply:
    """The reply with another usage."""
    return cast(Reply, reply if usage is reply.usage else reply.model_copy(update={"usage": usage}))


def storable(record: AnyRecord, read: Callable[[str], AnyRecord]) -> tuple[AnyRecord, str]:
    """The record and its JSON. Half a character (a text cut inside an emoji) becomes U+FFFD in both."""
    try:
        return record, record.model_dump_json()
    except PydanticSerializationError:
        text = whole(json.dumps(record.model_dump(mode="json"), ensure_ascii=False))
        return read(text), text
