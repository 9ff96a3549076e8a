"""The chat model ``openai``: OpenAI and every server that speaks its protocol."""

from __future__ import annotations

import asyncio
import difflib
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar

from pydantic import JsonValue

from jurist.chat import ChatReply, ChatRequest
from jurist.contracts import BatchChatModel, BatchState
from jurist.engine.limits import Limits
from jurist.errors import ProviderError
from jurist.options import Options
from jurist.prices import Price, read_prices
from jurist_openai.options import OpenAIOptions

if TYPE_CHECKING:
    from jurist_openai.batches import BatchApi
    from jurist_openai.client import Client
    from jurist_openai.tokenizer import Tokenizer


class OpenAIChatModel(BatchChatModel):
    """A chat model behind the chat completions protocol.

    Retries are left to the engine. Choices get log-probabilities where the server lists each of them
    among the alternatives of the first token; else the reply holds the text alone.
    """

    Options: ClassVar[type[Options]] = OpenAIOptions
    capabilities: ClassVar[frozenset[str]] = frozenset({"logprobs"})
    # Providers serve many calls at once, and a model that reasons may think for minutes.
    limits: ClassVar[Limits] = Limits(concurrency=64, timeout=300)
    batch_size: ClassVar[int] = 50_000
    options: OpenAIOptions

    def __init__(self, options: OpenAIOptions) -> None:
        super().__init__(options)
        self._client: Client | None = None
        self._batches: BatchApi | None = None
        self._price = self.price()

    def identity(self) -> JsonValue:
        """The options, with the address that holds where none is given."""
        return {**self.options.identity(), "base_url": self.options.address}

    async def complete(self, request: ChatRequest) -> ChatReply:
        """Answer one request with one call.

        Raises:
            ProviderError: the call failed; says whether another could succeed.
        """
        if self._client is None:
            from jurist_openai.client import Client

            self._client = Client(self.options, self._price)
        try:
            return await self._client.complete(request)
        except ProviderError as error:
            if error.fatal and "HTTP status 404" in error.what:
                error.hint = await self._names_hint() or error.hint
            raise

    def check_access(self) -> None:
        """See to it that there is a key where OpenAI's own server is asked.

        Raises:
            ProviderError: there is none.
        """
        if self.options.lacks_key:
            from jurist_openai.failures import missing_key

            raise missing_key(self.options)

    def price(self) -> Price | None:
        """The option, or what OpenAI asks; None for other servers, which may cost or not."""
        if self.options.price is not None or not self.options.official:
            return self.options.price
        return read_prices("jurist_openai").get(self.options.model)

    async def prompt_tokens(self, request: ChatRequest) -> int | None:
        """By OpenAI's tokenizer, for OpenAI's models."""
        tokenizer = await asyncio.to_thread(lambda: self._tokenizer)
        return None if tokenizer is None else tokenizer.count(request)

    def most_tokens(self, request: ChatRequest) -> int:
        """What the answer may have, and what the model may think before it."""
        thinking = self.options.thinking_tokens if self.options.reasons else 0
        return request.sampling.max_tokens + thinking

    async def submit(self, name: str, requests: Mapping[str, ChatRequest]) -> str:
        """Hand a batch in."""
        return await self._batch_api().submit(name, requests)

    async def find(self, name: str, request_ids: Collection[str], since: float) -> str | None:
        """The batch that carries ``name`` in its metadata."""
        return await self._batch_api().find(name, since)

    async def state(self, batch: str) -> BatchState:
        """How far a batch is."""
        return await self._batch_api().state(batch)

    def results(
        self, batch: str, choices: Mapping[str, Sequence[str]]
    ) -> AsyncIterator[tuple[str, ChatReply | ProviderError]]:
        """What came of a batch."""
        return self._batch_api().results(batch, choices)

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        batches, self._batches = self._batches, None
        if client is not None:
            await client.close()
        if batches is not None:
            await batches.close()

    def _batch_api(self) -> BatchApi:
        if self._batches is None:
            from jurist_openai.batches import BatchApi

            self._batches = BatchApi(self.options, self._price)
        return self._batches

    @cached_property
    def _tokenizer(self) -> Tokenizer | None:
        from jurist_openai.tokenizer import Tokenizer

        return Tokenizer.of(self.options.model) if self.options.official else None

    async def _names_hint(self) -> str | None:
        """What the server has instead of a model that it does not know."""
        try:
            names = await self._batch_api().model_names()
        except ProviderError:
            return None
        close = difflib.get_close_matches(self.options.model, names, n=3, cutoff=0.4) or names[:5]
        return f"the server has {', '.join(close)}" if close else None
