"""Replies as the chat completions protocol has them."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Literal

from jurist.alternatives import Alternatives, choice_logprobs
from jurist.chat import ChatReply
from jurist.prices import FREE, Price
from jurist.records import Message, Usage
from jurist.tokens import estimate_tokens
from jurist_openai.failures import no_reply
from jurist_openai.options import OpenAIOptions

_CUT = frozenset({"length", "max_tokens"})
_WHOLE = frozenset({"stop", "eos", "eos_token", "stop_sequence", "end_turn", None})
"""How servers say that an answer is cut, or whole."""
_MOST_TOKENS = 2**53


def reply_of(
    body: Any,
    options: OpenAIOptions,
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
    counted = _object(_object(body).get("usage"))
    text = ""
    try:
        if error := _object(body).get("error"):
            raise ValueError(f"an error in place of a reply: {error}")
        choice = body["choices"][0]
        message = choice["message"]
        text = _text(message.get("content") or "")
        finish_reason = _finish_reason(choice, message)
        logprobs = None
        if choices and finish_reason != "refusal":
            logprobs = choice_logprobs(_alternatives(choice), choices)
    except (KeyError, IndexError, TypeError, AttributeError, ValueError, OverflowError) as error:
        billed = _usage(counted, messages, text, price, seconds, batch=batch) if counted else None
        raise no_reply(f"{type(error).__name__}: {error}", options, billed) from error
    return ChatReply(
        text=text,
        choice_logprobs=logprobs,
        finish_reason=finish_reason,
        usage=_usage(counted, messages, text, price, seconds, batch=batch),
        served_model=_name(body.get("model")),
        fingerprint=_name(body.get("system_fingerprint")),
    )


def _object(value: Any) -> Mapping[str, Any]:
    """``value`` where it is a JSON object, else an empty one."""
    return value if isinstance(value, Mapping) else {}


def _text(content: Any) -> str:
    if not isinstance(content, str):
        raise TypeError(f"the content of the message is no text but {content}")
    return content


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) else None


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
    """What the server counted; what it did not count, or not in numbers of tokens, is estimated."""
    prompt = _tokens(counted.get("prompt_tokens")) or estimate_tokens(messages)
    completion = _tokens(counted.get("completion_tokens"))
    if completion is None:
        completion = estimate_tokens([Message(role="assistant", content=text)])
    cached = _tokens(_object(counted.get("prompt_tokens_details")).get("cached_tokens")) or 0
    usd = (price or FREE).usd(prompt, completion, cached=min(cached, prompt), batch=batch)
    return Usage(prompt_tokens=prompt, completion_tokens=completion, usd=usd, seconds=seconds)


def _tokens(count: Any) -> int | None:
    """A number of tokens; None where ``count`` can be none."""
    if isinstance(count, bool) or not isinstance(count, int | float) or not 0 <= count <= _MOST_TOKENS:
        return None
    return int(count) if count == int(count) else None
