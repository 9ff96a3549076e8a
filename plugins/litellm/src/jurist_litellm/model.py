"""The chat model ``litellm``: any provider that LiteLLM knows, one call per request."""

from __future__ import annotations

import asyncio
from functools import cached_property
from typing import TYPE_CHECKING, Annotated, ClassVar

from pydantic import Field, JsonValue, SecretStr, field_validator

from jurist.chat import ChatReply, ChatRequest
from jurist.contracts import ChatModel
from jurist.engine.limits import Limits
from jurist.errors import ProviderError
from jurist.options import Operational, Options
from jurist.prices import Price

if TYPE_CHECKING:
    from jurist_litellm.client import Client
    from jurist_litellm.listing import Listing

_SET_HERE = frozenset(
    {
        *("model", "messages", "api_base", "api_key", "timeout", "stream", "n", "drop_params"),
        *("temperature", "top_p", "max_tokens", "stop", "seed", "logprobs", "top_logprobs"),
        *("max_retries", "num_retries", "fallbacks"),
    }
)
_PRICES = frozenset({"input_cost_per_token", "output_cost_per_token"})


class LiteLLMOptions(Options):
    """Options of ``litellm``. Keep secrets out of ``extra``."""

    model: str = Field(description="LiteLLM's name of the model, the provider first: `openai/gpt-5-mini`.")
    api_base: str | None = Field(
        default=None, description="The address of the server; by default the provider's."
    )
    api_key: SecretStr | None = Field(
        default=None,
        description="By default the provider's environment variable. Write `${NAME}`, never the key.",
    )
    extra: dict[str, JsonValue] = Field(
        default_factory=dict, description="Passed to LiteLLM as it is: `reasoning_effort`, `extra_body` …"
    )
    top_logprobs: int = Field(
        default=20,
        ge=2,
        le=20,
        description="Alternatives to ask for per token; some providers give at most 5.",
    )
    price: Annotated[Price | None, Operational] = Field(
        default=None, description="As under Prices; by default what LiteLLM's table says."
    )

    @field_validator("extra")
    @classmethod
    def _leaves_the_request_alone(cls, extra: dict[str, JsonValue]) -> dict[str, JsonValue]:
        if taken := sorted(_SET_HERE & extra.keys()):
            raise ValueError(
                f"{', '.join(taken)} cannot be given in extra; the request, an option or limits set it"
            )
        if priced := sorted(_PRICES & extra.keys()):
            raise ValueError(
                f"{', '.join(priced)} cannot be given in extra; set price: {{input: …, output: …}}, "
                "in dollars per million tokens"
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
        self._making = asyncio.Lock()

    async def complete(self, request: ChatRequest) -> ChatReply:
        """Answer one request with one call.

        Raises:
            ProviderError: the call failed; says whether another could succeed.
        """
        client = self._client or await self._made_client()
        return await client.complete(request)

    def price(self) -> Price | None:
        """The option, or what LiteLLM's table says; None for models that it does not list."""
        if self.options.price is not None:
            return self.options.price
        return self._listing.price if self._listing else None

    async def prompt_tokens(self, request: ChatRequest) -> int | None:
        """By OpenAI's vocabularies, which are in LiteLLM's package, for OpenAI's models."""
        listing = await asyncio.to_thread(lambda: self._listing)
        return await asyncio.to_thread(listing.count, request.messages) if listing else None

    @cached_property
    def _listing(self) -> Listing | None:
        """What LiteLLM knows of the model; None where it knows no such provider, as the first call says."""
        from jurist_litellm.listing import Listing

        try:
            return Listing(self.options.model, self.options.api_base)
        except ProviderError:
            return None

    async def _made_client(self) -> Client:
        """The client, once: the first calls come all at once."""
        async with self._making:
            if self._client is None:
                # The import takes seconds; the event loop has other calls to serve meanwhile.
                self._client = await asyncio.to_thread(self._make_client)
        return self._client

    def _make_client(self) -> Client:
        from jurist_litellm.client import Client
        from jurist_litellm.listing import Listing

        return Client(self.options, self._listing or Listing(self.options.model, self.options.api_base))
