"""Replies, made of what LiteLLM returns."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any, Literal

from jurist.alternatives import Alternatives, choice_logprobs
from jurist.chat import ChatReply, ChatRequest
from jurist.records import Usage
from jurist_litellm.failures import Caller
from jurist_litellm.library import litellm

if TYPE_CHECKING:
    from jurist_litellm.listing import Listing
    from jurist_litellm.model import LiteLLMOptions

log = logging.getLogger("jurist_litellm")

_CUT = frozenset({"length", "max_tokens", "model_length", "model_context_window_exceeded"})
_WHOLE = frozenset({"stop", "stop_sequence", "end_turn", "eos", "eos_token", "complete", "endoftext"})
"""How providers say, in whatever case, that an answer is cut, or whole."""
_MOST_TOKENS = 2**53
_MOST_USD = 1e9


class ReplyMaker:
    """Makes replies of what one model answers.

    ``unpriced`` is filled with the served models that LiteLLM knows no price of.
    """

    def __init__(self, options: LiteLLMOptions, listing: Listing, caller: Caller, unpriced: set[str]) -> None:
        self._options = options
        self._listing = listing
        self._caller = caller
        self._unpriced = unpriced

    def reply(self, request: ChatRequest, response: Any, seconds: float) -> ChatReply:
        """The reply to ``request``, which took so many ``seconds``.

        Raises:
            ProviderError: it is none, or half of one; another try may get one.
        """
        text = ""
        try:
            choice = response.choices[0]
            text = _text(choice.message.content or "")
            finish_reason = _finish_reason(choice)
            logprobs = None
            if request.choices and finish_reason != "refusal":
                logprobs = choice_logprobs(_alternatives(choice), request.choices)
        except (LookupError, TypeError, AttributeError, ValueError) as error:
            billed = self._usage(request, response, text, seconds) if _is_counted(response) else None
            raise self._caller.no_reply(f"{type(error).__name__}: {error}", billed) from error
        return ChatReply(
            text=text,
            choice_logprobs=logprobs,
            finish_reason=finish_reason,
            usage=self._usage(request, response, text, seconds),
            served_model=_name(response.model),
            fingerprint=_name(getattr(response, "system_fingerprint", None)),
        )

    def _usage(self, request: ChatRequest, response: Any, text: str, seconds: float) -> Usage:
        """What the provider counted; what it did not count, or not in numbers of tokens, is estimated."""
        counted = getattr(response, "usage", None)
        prompt = _tokens(getattr(counted, "prompt_tokens", None)) or litellm.token_counter(
            model=self._listing.name, messages=[message.model_dump() for message in request.messages]
        )
        completion = _tokens(getattr(counted, "completion_tokens", None)) or (
            litellm.token_counter(model=self._listing.name, text=text) if text else 0
        )
        return Usage(
            prompt_tokens=prompt,
            completion_tokens=completion,
            usd=self._cost(response, prompt, completion),
            seconds=seconds,
        )

    def _cost(self, response: Any, prompt: int, completion: int) -> float:
        """What the call cost: by the option, else by LiteLLM, else by its table where that cannot be."""
        price = self._options.price
        if price is None:
            stated = getattr(response, "_hidden_params", {}).get("response_cost")
            known = self._listing.price is not None and _is_counted(response)
            if isinstance(stated, int | float) and 0 <= stated <= _MOST_USD and (stated or known):
                return float(stated)
            price = self._listing.price
        if price is None:
            self._miss_price(response)
            return 0.0
        details = getattr(getattr(response, "usage", None), "prompt_tokens_details", None)
        cached = _tokens(getattr(details, "cached_tokens", None)) or 0
        written = _tokens(getattr(details, "cache_creation_tokens", None)) or 0
        return price.usd(prompt, completion, cached=cached, written=written)

    def _miss_price(self, response: Any) -> None:
        """Say once that calls count as free."""
        if not self._unpriced:
            log.warning(
                "LiteLLM knows no price of %s: its calls count as free, and no cap in dollars can stop them. "
                "Set price: {input: …, output: …} (dollars per million tokens), or cap tokens: --max-tokens.",
                self._options.model,
            )
        self._unpriced.add(_name(response.model) or "")


def _text(content: Any) -> str:
    if not isinstance(content, str):
        raise TypeError(f"the content of the message is no text but {content}")
    return content


def _name(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _finish_reason(choice: Any) -> Literal["stop", "length", "refusal"]:
    details = getattr(choice.message, "provider_specific_fields", None) or {}
    if choice.finish_reason == "content_filter" or details.get("refusal"):
        return "refusal"
    # LiteLLM takes reasons that it does not know for "stop", and keeps what the provider said.
    kept = getattr(choice, "provider_specific_fields", None) or {}
    reason = str(kept.get("native_finish_reason") or choice.finish_reason)
    if choice.finish_reason == "length" or reason.lower() in _CUT:
        return "length"
    if reason.lower() not in _WHOLE:  # aborted, out of resources …: half an answer is none
        raise ValueError(f"the reply ended with {reason!r}")
    return "stop"


def _alternatives(choice: Any) -> list[Alternatives]:
    """The tokens written, each with the alternatives listed beside it."""
    listed = getattr(getattr(choice, "logprobs", None), "content", None) or ()
    return [
        {
            entry.token: entry.logprob
            for entry in (written, *(written.top_logprobs or ()))
            if entry.logprob is not None and math.isfinite(entry.logprob)
        }
        for written in listed
    ]


def _is_counted(response: Any) -> bool:
    """Whether the provider said what a reply cost."""
    counted = getattr(response, "usage", None)
    return any(_tokens(getattr(counted, f"{kind}_tokens", None)) for kind in ("prompt", "completion"))


def _tokens(count: Any) -> int | None:
    """A number of tokens; None where ``count`` can be none."""
    if isinstance(count, bool) or not isinstance(count, int | float) or not 0 <= count <= _MOST_TOKENS:
        return None
    return int(count) if count == int(count) else None
