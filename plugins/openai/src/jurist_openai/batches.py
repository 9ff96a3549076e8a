"""The Batch API, through the official client: half the price, within a day."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any

import openai
import orjson
from openai.types import Batch

from jurist.bodies import rows
from jurist.chat import ChatReply, ChatRequest
from jurist.contracts import BatchState
from jurist.errors import ProviderError
from jurist.prices import Price
from jurist_openai.failures import (
    PROVIDED_BY,
    connection_error,
    is_refusal,
    missing_key,
    no_reply,
    shown,
    status_error,
)
from jurist_openai.options import OpenAIOptions
from jurist_openai.replies import reply_of
from jurist_openai.requests import body_of

_ENDED = frozenset({"completed", "failed", "expired", "cancelled"})
_MOST_BYTES = 200 * 1000 * 1000
_SLACK = 3600.0
"""Seconds by which the provider's clock and ours may differ."""


class BatchApi:
    """Hands batches in, finds them again, and reads what came of them."""

    def __init__(self, options: OpenAIOptions, price: Price | None) -> None:
        self._options = options
        self._price = price
        self._client = _client(options)

    async def submit(self, name: str, requests: Mapping[str, ChatRequest]) -> str:
        """Hand a batch in; returns its id."""
        lines = b"\n".join(self._line(request_id, request) for request_id, request in requests.items())
        if len(lines) > _MOST_BYTES:
            raise ProviderError(
                f"A batch of {len(requests):,} requests has {len(lines):,} bytes, over {_MOST_BYTES:,}.",
                fatal=True,
                provided_by=PROVIDED_BY,
                hint="gather fewer: batch: {size: …}",
            )
        try:
            file = await self._client.files.create(file=(f"{name}.jsonl", lines), purpose="batch")
            batch = await self._client.batches.create(
                input_file_id=file.id,
                endpoint="/v1/chat/completions",
                completion_window="24h",
                metadata={"jurist": name},
            )
        except openai.OpenAIError as error:
            raise self._error(error) from error
        return batch.id

    async def find(self, name: str, since: float) -> str | None:
        """The id of the batch that carries ``name``."""
        try:
            async for batch in self._client.batches.list(limit=100):
                if (batch.metadata or {}).get("jurist") == name:
                    return batch.id
                if batch.created_at < since - _SLACK:
                    break  # newest come first
        except openai.OpenAIError as error:
            raise self._error(error) from error
        return None

    async def state(self, batch_id: str) -> BatchState:
        """How far a batch is."""
        batch = await self._batch(batch_id)
        counts = batch.request_counts
        faults = [fault.message or "" for fault in (batch.errors and batch.errors.data) or []]
        return BatchState(
            done=counts.completed + counts.failed if counts else 0,
            total=counts.total if counts else 0,
            ended=batch.status in _ENDED,
            failure=shown("; ".join(faults), self._options) or "the batch failed"
            if batch.status == "failed"
            else "",
        )

    async def results(
        self, batch_id: str, choices: Mapping[str, Sequence[str]]
    ) -> AsyncIterator[tuple[str, ChatReply | ProviderError]]:
        """Each request's id with its reply, or with why it has none."""
        batch = await self._batch(batch_id)
        seen: set[str] = set()
        expired = 0
        for file_id in (batch.output_file_id, batch.error_file_id):
            if file_id is not None:
                async for row in self._rows(file_id):
                    request_id = row.get("custom_id")
                    if isinstance(request_id, str) and request_id not in seen:
                        seen.add(request_id)
                        expired += _expired(row)
                        yield request_id, self._outcome(row, choices.get(request_id, ()))
        if missing := _missing(batch, seen, expired):
            what = f"The files of batch {batch_id} lack {missing} of its results."
            raise ProviderError(what, retryable=True, provided_by=PROVIDED_BY)

    async def model_names(self) -> list[str]:
        """The models that the server has."""
        try:
            return [model.id async for model in self._client.models.list()]
        except openai.OpenAIError as error:
            raise self._error(error) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._client.close()

    def _line(self, request_id: str, request: ChatRequest) -> bytes:
        body = body_of(request, self._options)
        line = {"custom_id": request_id, "method": "POST", "url": "/v1/chat/completions", "body": body}
        return orjson.dumps(line)

    async def _batch(self, batch_id: str) -> Batch:
        try:
            return await self._client.batches.retrieve(batch_id)
        except openai.NotFoundError as error:
            raise ProviderError(
                f"The server knows no batch {batch_id}.",
                provided_by=PROVIDED_BY,
                hint="batches are only seen with a key of the project that made them",
            ) from error
        except openai.OpenAIError as error:
            raise self._error(error) from error

    async def _rows(self, file_id: str) -> AsyncIterator[dict[str, Any]]:
        try:
            async with self._client.files.with_streaming_response.content(file_id) as response:
                async for row in rows(response.iter_bytes()):
                    yield row
        except openai.OpenAIError as error:
            raise self._error(error) from error
        except Exception as error:  # the file was cut off; the client passes errors of its own library on
            raise connection_error(error, self._options) from error

    def _outcome(self, row: dict[str, Any], choices: Sequence[str]) -> ChatReply | ProviderError:
        response, error = row.get("response"), row.get("error")
        if error and response is None:
            return ProviderError(
                f"{self._options.model} did not answer in its batch.",
                retryable=_expired(row),
                provided_by=PROVIDED_BY,
                cause=shown(_message(error), self._options),
            )
        if not isinstance(response, dict) or not isinstance(response.get("status_code"), int):
            return no_reply(f"a row of its batch without a response: {row}", self._options)
        status, body = response["status_code"], response.get("body")
        if status == 200:
            return self._reply(body, choices)
        if is_refusal(status, body):
            return ChatReply(finish_reason="refusal")
        return status_error(status, {}, body, self._options)

    def _reply(self, body: Any, choices: Sequence[str]) -> ChatReply | ProviderError:
        try:
            return reply_of(body, self._options, self._price, choices=choices, batch=True)
        except ProviderError as error:
            return error

    def _error(self, error: openai.OpenAIError) -> ProviderError:
        if isinstance(error, openai.APIStatusError):
            return status_error(error.status_code, error.response.headers, error.body, self._options)
        return connection_error(error, self._options)


def _expired(row: dict[str, Any]) -> bool:
    """Whether the request was never answered, since its batch ended before."""
    error = row.get("error")
    return isinstance(error, dict) and error.get("code") in ("batch_expired", "batch_cancelled")


def _message(error: Any) -> str:
    return str((error.get("message") if isinstance(error, dict) else None) or error)


def _missing(batch: Batch, seen: Collection[str], expired: int) -> int:
    """How many results a batch that ended has, but not in its files; they would be asked and paid for again.

    ``seen`` are the ids in the files. The engine's begin with the name of their batch; others there are of no
    request, unless nobody knows the name.
    """
    counts = batch.request_counts
    if counts is None:
        return 0
    name = (batch.metadata or {}).get("jurist")
    held = len([request_id for request_id in seen if name and request_id.startswith(f"{name}-")]) or len(seen)
    due = counts.total if batch.status == "completed" else counts.completed + counts.failed
    return max(0, due - held, counts.completed - (held - expired))


def _client(options: OpenAIOptions) -> openai.AsyncOpenAI:
    if options.secret is None and options.official:
        raise missing_key(options)
    key = options.secret or "none"  # the client insists on one
    if options.api_version is not None:
        return openai.AsyncAzureOpenAI(
            azure_endpoint=options.address, api_key=key, api_version=options.api_version, max_retries=0
        )
    return openai.AsyncOpenAI(base_url=options.address, api_key=key, max_retries=0)
