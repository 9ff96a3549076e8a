"""The calls to LiteLLM."""

from __future__ import annotations

import logging
import math
from time import perf_counter
from typing import TYPE_CHECKING, Any, Literal

from jurist.alternatives import Alternatives, choice_logprobs
from jurist.chat import ChatReply, ChatRequest
from jurist.errors import ProviderError
from jurist.records import Usage
from jurist_litellm.calls import Calls
from jurist_litellm.failures import PROVIDED_BY, Caller, is_refusal
from jurist_litellm.library import litellm

if TYPE_CHECKING:
    from jurist_litellm.listing import Listing
    from jurist_litellm.model import LiteLLMOptions

log = logging.getLogger("jurist_litellm")

LONGEST_CALL = 86_400.0
"""Seconds. ``limits.timeout`` ends a call; LiteLLM's own limit, 600 unless told, must never come first."""


class Client:
    """One model behind LiteLLM."""

    def __init__(self, options: LiteLLMOptions, listing: Listing) -> None:
        self._options = options
        self._listing = listing
        self._key = options.api_key.get_secret_value() if options.api_key else None
        self._caller = Caller(options.model, listing.provider, self._key)
        self._unpriced: set[str] = set()
        self._calls = Calls(None if options.price else self._unpriced)

    async def complete(self, request: ChatRequest) -> ChatReply:
        """One call, one reply.

        Raises:
            ProviderError: the call failed.
        """
        parameters = self._parameters(request)
        started = perf_counter()
        try:
            response = await self._calls.make(parameters)
        except Exception as error:
            if is_refusal(error):
                return ChatReply(finish_reason="refusal", usage=Usage(seconds=perf_counter() - started))
            # Whatever a provider's adapter raises, to the engine it is a call that failed.
            raise self._caller.error(error) from error
        return self._reply(request, response, perf_counter() - started)

    def _parameters(self, request: ChatRequest) -> dict[str, Any]:
        options, sampling = self._options, request.sampling
        parameters: dict[str, Any] = {
            "model": options.model,
            "messages": [message.model_dump() for message in request.messages],
            "api_base": options.api_base,
            "api_key": self._key,
            "temperature": sampling.temperature,
            "max_tokens": sampling.max_tokens,
            "timeout": LONGEST_CALL,
            "max_retries": 0,
            "num_retries": 0,
            "drop_params": True,
            **options.extra,
        }
        if sampling.top_p < 1:
            parameters["top_p"] = sampling.top_p
        if sampling.stop:
            parameters["stop"] = list(sampling.stop)
        if sampling.seed is not None and "seed" in self._listing.parameters:
            parameters["seed"] = sampling.seed
        if request.choices and {"logprobs", "top_logprobs"} <= self._listing.parameters:
            parameters |= {"logprobs": True, "top_logprobs": options.top_logprobs}
        if request.messages[-1].role == "assistant":
            self._continue_last_message(parameters)
        return parameters

    def _continue_last_message(self, parameters: dict[str, Any]) -> None:
        """Ask for the last message to be continued, in the way this provider understands."""
        if self._listing.provider == "hosted_vllm":
            continued = {"add_generation_prompt": False, "continue_final_message": True}
            parameters["extra_body"] = {**parameters.get("extra_body", {}), **continued}
        elif self._listing.says("supports_assistant_prefill"):
            parameters["messages"][-1]["prefix"] = True
        else:
            raise ProviderError(
                f"{self._options.model} cannot continue an assistant message.",
                provided_by=PROVIDED_BY,
                cause="neither LiteLLM's table of models nor its provider says that it supports this",
                hint="end the messages with the user's turn, or use a model that supports assistant prefill",
            )

    def _reply(self, request: ChatRequest, response: Any, seconds: float) -> ChatReply:
        if not response.choices:
            raise ProviderError(
                f"{self._options.model} sent a reply without a message.",
                retryable=True,
                provided_by=PROVIDED_BY,
            )
        choice = response.choices[0]
        finish_reason = _finish_reason(choice)
        logprobs = None
        if request.choices and finish_reason != "refusal":
            logprobs = choice_logprobs(_alternatives(choice), request.choices)
        return ChatReply(
            text=choice.message.content or "",
            choice_logprobs=logprobs,
            finish_reason=finish_reason,
            usage=self._usage(request, response, seconds),
            served_model=response.model,
            fingerprint=getattr(response, "system_fingerprint", None),
        )

    def _usage(self, request: ChatRequest, response: Any, seconds: float) -> Usage:
        """What the provider counted; what it did not count is estimated."""
        counted = getattr(response, "usage", None)
        prompt = getattr(counted, "prompt_tokens", 0) or litellm.token_counter(
            model=self._listing.name, messages=[message.model_dump() for message in request.messages]
        )
        text = response.choices[0].message.content or ""
        completion = getattr(counted, "completion_tokens", 0) or (
            litellm.token_counter(model=self._listing.name, text=text) if text else 0
        )
        return Usage(
            prompt_tokens=prompt,
            completion_tokens=completion,
            usd=self._cost(response, prompt, completion),
            seconds=seconds,
        )

    def _cost(self, response: Any, prompt: int, completion: int) -> float:
        if self._options.price is not None:
            details = getattr(getattr(response, "usage", None), "prompt_tokens_details", None)
            cached = getattr(details, "cached_tokens", None) or 0
            written = getattr(details, "cache_creation_tokens", None) or 0
            return self._options.price.usd(prompt, completion, cached=cached, written=written)
        cost: float = response._hidden_params.get("response_cost") or 0.0
        if not cost and self._listing.price is None:
            self._miss_price(response)
        return cost

    def _miss_price(self, response: Any) -> None:
        """Say once that calls count as free."""
        if not self._unpriced:
            log.warning(
                "LiteLLM knows no price of %s: its calls count as free, and no cap in dollars can stop them. "
                "Set price: {input: …, output: …} (dollars per million tokens), or cap tokens: --max-tokens.",
                self._options.model,
            )
        self._unpriced.add(response.model)


def _finish_reason(choice: Any) -> Literal["stop", "length", "refusal"]:
    details = getattr(choice.message, "provider_specific_fields", None) or {}
    if choice.finish_reason == "content_filter" or details.get("refusal"):
        return "refusal"
    return "length" if choice.finish_reason == "length" else "stop"


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
