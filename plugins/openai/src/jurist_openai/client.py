"""The hot path: chat completions over one HTTP session.

The official client spends 0.8 s of CPU on a thousand calls and this 0.2, which at several hundred calls in
flight is the difference between waiting for the provider and waiting for Python.
"""

from __future__ import annotations

import asyncio
from time import perf_counter
from typing import Any
from urllib.request import getproxies, proxy_bypass

import aiohttp
import orjson
from yarl import URL

from jurist.bodies import read_json
from jurist.chat import ChatReply, ChatRequest
from jurist.prices import Price
from jurist.records import Usage
from jurist_openai.failures import connection_error, is_refusal, missing_key, no_reply, status_error
from jurist_openai.options import OpenAIOptions
from jurist_openai.replies import reply_of
from jurist_openai.requests import body_of


class Client:
    """One session with one server; connections are as many as there are calls in flight."""

    def __init__(self, options: OpenAIOptions, price: Price | None) -> None:
        if options.lacks_key:
            raise missing_key(options)
        self._options = options
        self._price = price
        self._url = URL(options.chat_url())
        self._proxy = _proxy_for(self._url)
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300, keepalive_timeout=60),
            headers=options.headers(),
            # The engine's limits.timeout is the only one.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=30),
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def complete(self, request: ChatRequest) -> ChatReply:
        """One call, one reply.

        Raises:
            ProviderError: the call failed.
        """
        # A copy of the exact size: orjson's own buffer stays as large as it once grew while the call lasts.
        data = bytes(memoryview(orjson.dumps(body_of(request, self._options))))
        started = perf_counter()
        try:
            async with self._session.post(
                self._url, data=data, proxy=self._proxy, allow_redirects=False
            ) as response:
                raw = await response.read()
        except (aiohttp.ClientError, OSError, asyncio.IncompleteReadError) as error:
            raise connection_error(error, self._options) from error
        body = _parsed(raw)
        if response.status != 200:
            if is_refusal(response.status, body):
                return ChatReply(finish_reason="refusal", usage=Usage(seconds=perf_counter() - started))
            raise status_error(response.status, response.headers, body, self._options)
        if isinstance(body, str):
            raise no_reply(f"not JSON: {body}", self._options)
        return reply_of(
            body,
            self._options,
            self._price,
            choices=request.choices,
            messages=request.messages,
            seconds=perf_counter() - started,
        )

    async def close(self) -> None:
        """Close the connections."""
        await self._session.close()


def _parsed(raw: bytes) -> Any:
    """The JSON value, or the text where it is none."""
    try:
        return read_json(raw)
    except ValueError:
        return raw.decode("utf-8", "replace")


def _proxy_for(url: URL) -> str | None:
    """The proxy that the environment names for this server; looked up once, since it is slow."""
    if url.host is None or proxy_bypass(url.host):
        return None
    return getproxies().get(url.scheme)
