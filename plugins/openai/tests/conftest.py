"""A loopback server for replies that the simulator cannot make, and models that ask it."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest_asyncio
from aiohttp import web

from jurist_openai.model import OpenAIChatModel
from jurist_openai.options import OpenAIOptions


class Provider:
    """A server that answers every request with what ``reply`` makes of it."""

    def __init__(self) -> None:
        self.url = ""
        self.reply: Callable[[web.Request], web.Response]

    def says(self, body: str | bytes, status: int = 200) -> None:
        """Answer everything with ``body``."""
        sent = body.encode() if isinstance(body, str) else body
        self.reply = lambda _: web.Response(body=sent, status=status, content_type="application/json")

    async def answer(self, request: web.Request) -> web.Response:
        return self.reply(request)


@pytest_asyncio.fixture
async def provider() -> AsyncIterator[Provider]:
    server = Provider()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}/v1"
    yield server
    await runner.cleanup()


@pytest_asyncio.fixture
async def model_at() -> AsyncIterator[Callable[..., OpenAIChatModel]]:
    """Makes models that ask the server at an address; they are closed when the test ends."""
    made: list[OpenAIChatModel] = []

    def make(url: str, **options: Any) -> OpenAIChatModel:
        price = {"input": 2, "output": 10, "batch": 0.5}
        given = {"model": "mine", "base_url": url, "api_key": "sk-planted-secret", "price": price, **options}
        made.append(OpenAIChatModel(OpenAIOptions.model_validate(given)))
        return made[-1]

    yield make
    for model in made:
        await model.close()
