"""What the Messages API answers, as far as it is read, and the replies it makes."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from types import MappingProxyType
from typing import Literal

from pydantic import BaseModel, JsonValue, ValidationError

from jurist.chat import ChatReply
from jurist.prices import Price
from jurist.records import Message, Usage
from jurist.tokens import estimate_tokens
from jurist_anthropic.failures import Failures, FaultyAnswer

log = logging.getLogger("jurist_anthropic")

_FINISHES: Mapping[str | None, Literal["stop", "length", "refusal"]] = MappingProxyType(
    {
        **dict.fromkeys(("end_turn", "stop_sequence", None), "stop"),
        **dict.fromkeys(("max_tokens", "model_context_window_exceeded"), "length"),
        "refusal": "refusal",
    }
)
"""How the service says that an answer is whole, cut or declined. With any other reason it broke off."""
_MOST_TOKENS = 2**53


class ContentBlock(BaseModel):
    """A part of an answer; ``type`` is ``text``, or ``thinking`` and the like, which is not read."""

    type: str
    text: str = ""


class AnsweredMessage(BaseModel):
    """An answer of the model."""

    type: Literal["message"]
    model: str
    content: list[ContentBlock]
    stop_reason: str | None = None


class BatchResult(BaseModel):
    """What came of a request: ``succeeded``, ``errored``, ``canceled`` or ``expired``."""

    type: str
    message: JsonValue = None
    error: FaultyAnswer | None = None


class BatchLine(BaseModel):
    """A line of the results of a batch; ``result`` is missing where it cannot be read."""

    custom_id: str
    result: JsonValue = None


class ReplyMaker:
    """Makes replies of answers, and says once if nobody knows what they cost."""

    def __init__(self, model: str, price: Price | None, failures: Failures) -> None:
        self._model = model
        self._price = price
        self._failures = failures
        self._warned = False

    def reply(
        self,
        sent: JsonValue,
        messages: Sequence[Message] = (),
        *,
        seconds: float = 0.0,
        batch: bool = False,
    ) -> ChatReply:
        """The reply to a request with these ``messages`` that took so many seconds, or was in a batch.

        Raises:
            ProviderError: what was ``sent`` is no answer, or half of one; another try may get one.
        """
        counted = sent.get("usage") if isinstance(sent, dict) else None
        counts = counted if isinstance(counted, dict) else {}
        try:
            answer = AnsweredMessage.model_validate(sent)
        except ValidationError as error:
            billed = self._usage(counts, messages, "", seconds, batch) if counts else None
            raise self._failures.broken(f"it sent what is no answer: {sent}", billed) from error
        text = "".join(block.text for block in answer.content if block.type == "text")
        usage = self._usage(counts, messages, text, seconds, batch)
        if answer.stop_reason not in _FINISHES:
            cause = f"the answer ended with {answer.stop_reason!r}"
            raise self._failures.broken(cause, usage if counts else None)
        return ChatReply(
            text=text,
            finish_reason=_FINISHES[answer.stop_reason],
            usage=usage,
            served_model=answer.model,
        )

    def _usage(
        self,
        counts: Mapping[str, JsonValue],
        messages: Sequence[Message],
        text: str,
        seconds: float,
        batch: bool,
    ) -> Usage:
        """What the service counted; what it did not count, or not in numbers of tokens, is estimated."""
        read = _tokens(counts.get("cache_read_input_tokens")) or 0
        written = _tokens(counts.get("cache_creation_input_tokens")) or 0
        fresh = _tokens(counts.get("input_tokens"))  # those that the cache had no part in
        prompt = max(estimate_tokens(messages), read + written) if fresh is None else fresh + read + written
        completion = _tokens(counts.get("output_tokens"))
        if completion is None:
            completion = estimate_tokens([Message(role="assistant", content=text)])
        usd = self._usd(prompt, completion, read, written, batch)
        return Usage(prompt_tokens=prompt, completion_tokens=completion, usd=usd, seconds=seconds)

    def _usd(self, prompt: int, completion: int, read: int, written: int, batch: bool) -> float:
        if self._price is not None:
            return self._price.usd(prompt, completion, cached=read, written=written, batch=batch)
        if not self._warned:
            self._warned = True
            log.warning(
                "Nobody knows the price of %s: its calls count as free, and no cap in dollars can stop them. "
                "Set price: {input: …, output: …} (USD per million tokens) or cap tokens: --max-tokens.",
                self._model,
            )
        return 0.0


def _tokens(count: JsonValue) -> int | None:
    """A number of tokens; None where ``count`` can be none."""
    if isinstance(count, bool) or not isinstance(count, int | float) or not 0 <= count <= _MOST_TOKENS:
        return None
    return int(count) if count == int(count) else None
