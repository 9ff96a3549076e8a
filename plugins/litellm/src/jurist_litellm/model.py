"""The chat model ``litellm``: any provider that LiteLLM knows, one call per request."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, ClassVar

from pydantic import Field, JsonValue, SecretStr, field_validator

from jurist.chat import ChatReply, ChatRequest
from jurist.contracts import ChatModel
from jurist.limits import Limits
from jurist.options import Options

if TYPE_CHECKING:
    from jurist_litellm._client import Client

_SET_HERE = frozenset(
    {
        *("model", "messages", "api_base", "api_key", "timeout", "stream", "n", "drop_params"),
        *("temperature", "top_p", "max_tokens", "stop", "seed", "logprobs", "top_logprobs"),
        *("max_retries", "num_retries", "fallbacks"),
    }
)


class LiteLLMOptions(Options):
    """Options of ``litellm``.

    ``model`` is LiteLLM's name of it, the provider first: ``openai/gpt-5-mini``. Without ``api_key``
    the provider's environment variable is used. ``extra`` goes to LiteLLM as it is (``reasoning_effort``,
    ``extra_body``, prices as ``input_cost_per_token``); keep secrets out of it. ``top_logprobs`` is how
    many alternatives to ask for; some providers give at most 5.
    """

    model: str
    api_base: str | None = None
    api_key: SecretStr | None = None
    extra: dict[str, JsonValue] = Field(default_factory=dict)
    top_logprobs: int = Field(default=20, ge=2, le=20)

    @field_validator("extra")
    @classmethod
    def _leaves_the_request_alone(cls, extra: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if taken := sorted(_SET_HERE & extra.keys()):
            raise ValueError(
                f"{', '.join(taken)} cannot be given in extra; the request, an option or limits set it"
            )
        return extra


class LiteLLMChatModel(ChatModel):
    """A chat model behind LiteLLM.

    Retries are left to the engine. Whether choices get log-probabilities depends on the provider and on
    the reply: each choice must be among the alternatives it lists, else the reply holds the text alone.
    """

    Options: ClassVar[type[Options]] = LiteLLMOptions
    capabilities: ClassVar[frozenset[str]] = frozenset({"logprobs"})
    # Providers serve many calls at once, and a model that reasons may think for minutes.
    limits: ClassVar[Limits] = Limits(concurrency=32, timeout=300)
    options: LiteLLMOptions

    def __init__(self, options: LiteLLMOptions) -> None:
        super().__init__(options)
        self._client: Client | None = None

    async def complete(self, request: ChatRequest) -> ChatReply:
        """Answer one request with one call.

        Raises:
            ProviderError: the call failed; says whether another could succeed.
        """
        if self._client is None:
            # The import takes seconds; the event loop has other calls to serve meanwhile.
            self._client = await asyncio.to_thread(_make_client, self.options)
        return await self._client.complete(request)


def _make_client(options: LiteLLMOptions) -> Client:
    from jurist_litellm._client import Client

    return Client(options)
