"""The chat model ``anthropic``: Anthropic's Messages API and its batches."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import TYPE_CHECKING, ClassVar

from pydantic import JsonValue

from jurist.chat import ChatReply, ChatRequest
from jurist.contracts import BatchChatModel, BatchState
from jurist.engine.limits import Limits
from jurist.errors import ProviderError
from jurist.options import Options
from jurist.prices import Price
from jurist_anthropic.listing import Listing
from jurist_anthropic.options import AnthropicOptions

if TYPE_CHECKING:
    from jurist_anthropic.client import Client


class AnthropicChatModel(BatchChatModel):
    """A model of Anthropic's.

    Retries are left to the engine. The service gives no log-probabilities, so requests with choices are
    answered with a text. ``pause``: seconds between two looks for a batch that may have been handed in.
    """

    Options: ClassVar[type[Options]] = AnthropicOptions
    # The service serves many calls at once, and a model that thinks may do so for minutes.
    limits: ClassVar[Limits] = Limits(concurrency=32, timeout=600)
    batch_size: ClassVar[int] = 100_000
    pause: ClassVar[float] = 30.0
    options: AnthropicOptions

    def __init__(self, options: AnthropicOptions) -> None:
        super().__init__(options)
        self._listing = Listing.of(options.model)
        self._client: Client | None = None
        self._opening = asyncio.Lock()

    def identity(self) -> JsonValue:
        """The options, with the address that holds where none is given."""
        return {**self.options.identity(), "base_url": self.options.address}

    def price(self) -> Price | None:
        """The option, or what is known of the model."""
        return self.options.price or self._listing.price

    def check_access(self) -> None:
        """See to it that there is a key, or other credentials that the client finds.

        Raises:
            ProviderError: there are none.
        """
        self._client = self._client or self._make_client()

    async def complete(self, request: ChatRequest) -> ChatReply:
        """Answer one request with one call.

        Raises:
            ProviderError: the call failed; says whether another could succeed.
        """
        return await (await self._opened()).complete(request)

    async def submit(self, name: str, requests: Mapping[str, ChatRequest]) -> str:
        """Hand a batch in; the service takes no name, so it is known by the ids of its requests."""
        return await (await self._opened()).batches.submit(requests)

    async def find(self, name: str, request_ids: Collection[str], since: float) -> str | None:
        """The batch with these requests; waits until every batch that could be it has ended."""
        return await (await self._opened()).batches.find(request_ids, since)

    async def state(self, batch: str) -> BatchState:
        """How far a batch is."""
        return await (await self._opened()).batches.state(batch)

    async def results(
        self, batch: str, choices: Mapping[str, Sequence[str]]
    ) -> AsyncIterator[tuple[str, ChatReply | ProviderError]]:
        """What came of a batch; ``choices`` get no log-probabilities."""
        async for request_id, outcome in (await self._opened()).batches.results(batch):
            yield request_id, outcome

    async def close(self) -> None:
        """Close the connections."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def _opened(self) -> Client:
        async with self._opening:
            if self._client is None:
                # The import takes seconds; the event loop has other calls to serve meanwhile.
                self._client = await asyncio.to_thread(self._make_client)
        return self._client

    def _make_client(self) -> Client:
        from jurist_anthropic.client import Client

        return Client(self.options, self._listing, self.price(), self.pause)
