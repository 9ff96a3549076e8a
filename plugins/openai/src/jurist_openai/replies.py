"""Replies as the chat completions protocol has them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from jurist.alternatives import Alternatives, choice_logprobs
from jurist.chat import ChatReply
from jurist.errors import ProviderError
from jurist.prices import FREE, Price
from jurist.records import Message, Usage
from jurist.tokens import estimate_tokens
from jurist_openai.failures import PROVIDED_BY

_CUT = frozenset({"length", "max_tokens"})
_WHOLE = frozenset({"stop", "eos", "eos_token", "stop_sequence", "end_turn", None})
"""How servers say that an answer is cut, or whole."""


def reply_of(
    body: Any,
    price: Price | None,
    *,
    choices: Sequence[str] = (),
    messages: Sequence[Message] = (),
    seconds: float = 0.0,
    batch: bool = False,
) -> ChatReply:
    """What was answered to a request with these ``choices`` and ``messages``, in so many ``seconds``.

    Raises:
        ProviderError: it is no reply; another try may get one.
    """
    if isinstance(body, Mapping) and body.get("error"):
        what = "The server sent an error in place of a reply."
        raise ProviderError(what, retryable=True, provided_by=PROVIDED_BY, cause=str(body["error"])[:500])
    try:
        choice = body["choices"][0]
        message = choice["message"]
        text = message.get("content") or ""
        finish_reason = _finish_reason(choice, message)
        logprobs = None
        if choices and finish_reason != "refusal":
            logprobs = choice_logprobs(_alternatives(choice), choices)
        return ChatReply(
            text=text,
            choice_logprobs=logprobs,
            finish_reason=finish_reason,
            usage=_usage(body.get("usage") or {}, messages, text, price, seconds, batch=batch),
            served_model=body.get("model"),
            fingerprint=body.get("system_fingerprint"),
        )
    except (KeyError, IndexError, TypeError, AttributeError, ValueError) as error:
        raise ProviderError(
            "The server sent something that is no reply.",
            retryable=True,
            provided_by=PROVIDED_BY,
            cause=error,
        ) from error


def _finish_reason(
    choice: Mapping[str, Any], message: Mapping[str, Any]
) -> Literal["stop", "length", "refusal"]:
    reason = choice.get("finish_reason")
    passed_on = message.get("provider_specific_fields") or {}  # by the LiteLLM proxy
    if reason == "content_filter" or message.get("refusal") or passed_on.get("refusal"):
        return "refusal"
    if reason in _CUT:
        return "length"
    if reason not in _WHOLE:  # aborted, out of resources …: half an answer is none
        raise ValueError(f"the reply ended with {reason!r}")
    return "stop"


def _alternatives(choice: Mapping[str, Any]) -> list[Alternatives]:
    """The tokens written, each with the alternatives listed beside it."""
    listed = (choice.get("logprobs") or {}).get("content") or ()
    return [
        {
            entry["token"]: entry["logprob"]
            for entry in (written, *(written.get("top_logprobs") or ()))
            if math.isfinite(entry["logprob"])
        }
        for written in listed
    ]


def _usage(
    counted: Mapping[str, Any],
    messages: Sequence[Message],
    text: str,
    price: Price | None,
    seconds: float,
    *,
    batch: bool,
) -> Usage:
    """What the server counted; what it did not count is estimated."""
    prompt = counted.get("prompt_tokens") or estimate_tokens(messages)
    completion = counted.get("completion_tokens")
    if completion is None:
        completion = estimate_tokens([Message(role="assistant", content=text)])
    cached = (counted.get("prompt_tokens_details") or {}).get("cached_tokens") or 0
    usd = (price or FREE).usd(prompt, completion, cached=cached, batch=batch)
    return Usage(prompt_tokens=prompt, completion_tokens=completion, usd=usd, seconds=seconds)
