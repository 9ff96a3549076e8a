"""What the Messages API answers, as far as it is read, and the replies it makes."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, JsonValue

from jurist.chat import ChatReply
from jurist.prices import Price
from jurist.records import Usage

log = logging.getLogger("jurist_anthropic")

_FINISHES: Mapping[str | None, Literal["length", "refusal"]] = MappingProxyType(
    {"max_tokens": "length", "model_context_window_exceeded": "length", "refusal": "refusal"}
)


class ContentBlock(BaseModel):
    """A part of an answer; ``type`` is ``text``, or ``thinking`` and the like, which is not read."""

    type: str
    text: str = ""


class TokenCounts(BaseModel):
    """The tokens of a call; ``input_tokens`` are those that the cache had no part in."""

    input_tokens: int
    output_tokens: int
    cache_read_input_tokens: int | None = None
    cache_creation_input_tokens: int | None = None


class AnsweredMessage(BaseModel):
    """An answer of the model."""

    type: Literal["message"]
    model: str
    content: list[ContentBlock]
    stop_reason: str | None = None
    usage: TokenCounts


class Fault(BaseModel):
    """What went wrong with a request of a batch."""

    type: str
    message: str = ""


class FaultyAnswer(BaseModel):
    """The body of an error."""

    error: Fault


class BatchResult(BaseModel):
    """What came of a request: ``succeeded``, ``errored``, ``canceled`` or ``expired``."""

    type: str
    message: AnsweredMessage | None = None
    error: FaultyAnswer | None = None


class BatchLine(BaseModel):
    """A line of the results of a batch."""

    custom_id: str
    result: JsonValue


class ReplyMaker:
    """Makes replies of answers, and says once if nobody knows what they cost."""

    def __init__(self, model: str, price: Price | None) -> None:
        self._model = model
        self._price = price
        self._warned = False

    def reply(self, answer: AnsweredMessage, *, seconds: float = 0.0, batch: bool = False) -> ChatReply:
        """The reply to a request that took so many seconds, or was in a batch."""
        return ChatReply(
            text="".join(block.text for block in answer.content if block.type == "text"),
            finish_reason=_FINISHES.get(answer.stop_reason, "stop"),
            usage=self._usage(answer.usage, seconds, batch),
            served_model=answer.model,
        )

    def _usage(self, counts: TokenCounts, seconds: float, batch: bool) -> Usage:
        read, written = counts.cache_read_input_tokens or 0, counts.cache_creation_input_tokens or 0
        prompt, completion = counts.input_tokens + read + written, counts.output_tokens
        usd = 0.0
        if self._price is not None:
            usd = self._price.usd(prompt, completion, cached=read, written=written, batch=batch)
        elif not self._warned:
            self._warned = True
            log.warning(
                "Nobody knows the price of %s: its calls count as free, and no cap in dollars can stop them. "
                "Set price: {input: …, output: …} (USD per million tokens) or cap tokens: --max-tokens.",
                self._model,
            )
        return Usage(prompt_tokens=prompt, completion_tokens=completion, usd=usd, seconds=seconds)
