"""The calls to LiteLLM."""

from __future__ import annotations

from time import perf_counter
from typing import TYPE_CHECKING, Any

from jurist.chat import ChatReply, ChatRequest
from jurist.errors import ProviderError
from jurist.records import Usage
from jurist_litellm.calls import Calls
from jurist_litellm.failures import PROVIDED_BY, Caller, is_refusal
from jurist_litellm.replies import ReplyMaker

if TYPE_CHECKING:
    from jurist_litellm.listing import Listing
    from jurist_litellm.model import LiteLLMOptions

LONGEST_CALL = 86_400.0
"""Seconds. ``limits.timeout`` ends a call; LiteLLM's own limit, 600 unless told, must never come first."""


class Client:
    """One model behind LiteLLM."""

    def __init__(self, options: LiteLLMOptions, listing: Listing) -> None:
        self._options = options
        self._listing = listing
        self._key = options.api_key.get_secret_value() if options.api_key else None
        self._caller = Caller(options.model, listing.provider, self._key)
        unpriced: set[str] = set()
        self._calls = Calls(None if options.price else unpriced)
        self._replies = ReplyMaker(options, listing, self._caller, unpriced)

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
        return self._replies.reply(request, response, perf_counter() - started)

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
