"""The Message Batches API: half the price, within a day."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Collection, Mapping
from contextlib import aclosing
from datetime import UTC, datetime
from typing import Any, TypeVar

import anthropic
from anthropic import AsyncAPIResponse
from pydantic import BaseModel, JsonValue, ValidationError

from jurist.bodies import read_json, rows
from jurist.chat import ChatReply, ChatRequest
from jurist.contracts import BatchState
from jurist.errors import ProviderError
from jurist_anthropic.failures import Failures
from jurist_anthropic.replies import BatchLine, BatchResult, ReplyMaker
from jurist_anthropic.requests import RequestWriter

Told = TypeVar("Told", bound=BaseModel)

_PAGE = 100
_SLACK = 3600.0
"""Seconds by which the service's clock and ours may differ."""
_SILENCE = 600.0
"""Seconds without a byte after which a call about batches is over: the engine's time-out is not for these."""


class Batch(BaseModel):
    """A batch as the service tells of it."""

    id: str
    created_at: datetime
    processing_status: str
    request_counts: Mapping[str, int]
    results_url: str | None = None

    @property
    def ended(self) -> bool:
        """Whether every request came to an end."""
        return self.processing_status == "ended"

    @property
    def total(self) -> int:
        """How many requests it has."""
        return sum(self.request_counts.values())


class Page(BaseModel):
    """Some batches, newest first."""

    data: list[Batch]
    has_more: bool = False
    last_id: str | None = None


class MessageBatches:
    """Hands batches in, finds them again, and reads what came of them.

    ``pause``: seconds between two looks for a batch of which only the requests are known.
    """

    def __init__(
        self,
        client: anthropic.AsyncAnthropic,
        writer: RequestWriter,
        replies: ReplyMaker,
        failures: Failures,
        pause: float,
    ) -> None:
        self._pause = pause
        self._calls = client.messages.batches
        self._writer = writer
        self._replies = replies
        self._failures = failures

    async def submit(self, requests: Mapping[str, ChatRequest]) -> str:
        """Hand a batch in; returns its id."""
        asked = [
            {"custom_id": request_id, "params": self._writer.body(request)}
            for request_id, request in requests.items()
        ]
        try:
            batch = await self._told(
                Batch,
                self._calls.with_raw_response.create(requests=asked, timeout=_SILENCE),  # type: ignore[arg-type]
            )
        except anthropic.ContentTooLargeError as error:
            raise self._failures.too_large(len(requests), error.api_message) from error
        return batch.id

    async def find(self, request_ids: Collection[str], since: float) -> str | None:
        """The id of the batch with exactly these requests, handed in since then.

        A batch carries no name, and what is in it is only told when it has ended. So every batch that could
        be it is waited for.
        """
        await asyncio.sleep(self._pause)  # what was handed in a moment ago may not be listed yet
        candidates = [batch for batch in await self._since(since) if batch.total == len(request_ids)]
        while True:
            for batch in candidates:
                if batch.ended and batch.results_url and await self._holds(batch, request_ids):
                    return batch.id
            open_ones = [batch.id for batch in candidates if not batch.ended]
            if not open_ones:
                return None
            await asyncio.sleep(self._pause)
            candidates = [await self._batch(batch_id) for batch_id in open_ones]

    async def state(self, batch_id: str) -> BatchState:
        """How far a batch is; the service counts nothing as done before all is."""
        batch = await self._batch(batch_id)
        done = batch.total - batch.request_counts.get("processing", 0)
        return BatchState(done=done, total=batch.total, ended=batch.ended)

    async def results(self, batch_id: str) -> AsyncIterator[tuple[str, ChatReply | ProviderError]]:
        """Each request's id with its reply, or with why it has none."""
        batch = await self._batch(batch_id)
        if batch.results_url is None:
            raise self._failures.lost(batch_id, "the service keeps results for 29 days")
        seen: set[str] = set()
        async for line in self._lines(batch_id):
            if line.custom_id not in seen:
                seen.add(line.custom_id)
                yield line.custom_id, self._outcome(line)
        if len(seen) < batch.total:
            raise self._lacking(batch, len(seen))

    async def _since(self, since: float) -> list[Batch]:
        """The batches made since then."""
        earliest = datetime.fromtimestamp(since - _SLACK, UTC)
        found: list[Batch] = []
        after: str | anthropic.Omit = anthropic.omit
        while True:
            call = self._calls.with_raw_response.list(limit=_PAGE, after_id=after, timeout=_SILENCE)
            page = await self._told(Page, call)
            found += [batch for batch in page.data if batch.created_at >= earliest]
            if not page.has_more or page.last_id is None or page.data[-1].created_at < earliest:
                return found
            after = page.last_id

    async def _holds(self, batch: Batch, request_ids: Collection[str]) -> bool:
        """Whether a batch that has ended has exactly these requests."""
        ours, seen = set(request_ids), set[str]()
        async with aclosing(self._lines(batch.id)) as lines:
            async for line in lines:
                if line.custom_id not in ours:
                    return False
                seen.add(line.custom_id)
        if len(seen) < batch.total:
            raise self._lacking(batch, len(seen))
        return True

    def _lacking(self, batch: Batch, held: int) -> ProviderError:
        """The error for results that end too early; taken for whole, the rest would be paid for once more."""
        return self._failures.broken(f"the results of batch {batch.id} have {held} of {batch.total} requests")

    async def _batch(self, batch_id: str) -> Batch:
        try:
            return await self._told(Batch, self._calls.with_raw_response.retrieve(batch_id, timeout=_SILENCE))
        except anthropic.NotFoundError as error:
            raise self._failures.lost(batch_id, error.api_message) from error

    async def _lines(self, batch_id: str) -> AsyncGenerator[BatchLine, None]:
        """The results line by line; the client's own reading of them takes ten times as long."""
        try:
            call = self._calls.with_streaming_response.results(batch_id, timeout=_SILENCE)
            async with call as response:
                async for row in rows(response.iter_bytes()):
                    try:
                        line = BatchLine.model_validate(row)
                    except ValidationError:  # of no request that could be told, which is then missing
                        continue
                    yield line
        except Exception as error:
            raise self._failures.of_call(error) from error

    def _outcome(self, line: BatchLine) -> ChatReply | ProviderError:
        try:
            result = BatchResult.model_validate(line.result)
        except ValidationError:
            return self._failures.broken(f"its batch holds what is no result: {line.result}")
        if result.message is not None:
            return self._reply(result.message)
        if result.error is not None:
            return self._failures.in_batch(result.error.error)
        return self._failures.broken(f"the request was not answered in time ({result.type})")

    def _reply(self, message: JsonValue) -> ChatReply | ProviderError:
        try:
            return self._replies.reply(message, batch=True)
        except ProviderError as error:
            return error

    async def _told(self, kind: type[Told], call: Awaitable[AsyncAPIResponse[Any]]) -> Told:
        """What the service answers, read as ``kind``."""
        try:
            response = await call
        except (anthropic.NotFoundError, anthropic.ContentTooLargeError):
            raise  # these mean something else for batches
        except Exception as error:
            raise self._failures.of_call(error) from error
        sent = response.http_response.content
        try:
            return kind.model_validate(read_json(sent))
        except ValueError as error:
            raise self._failures.unreadable(sent) from error
