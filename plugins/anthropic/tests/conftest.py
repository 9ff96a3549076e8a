"""Models under test, and a loopback server for single odd replies."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from jurist.chat import ChatRequest, Sampling
from jurist.records import Message
from jurist_anthropic.model import AnthropicChatModel, AnthropicOptions

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Provider:
    """A server that answers every request with ``handler`` and keeps what it was sent."""

    def __init__(self) -> None:
        self.url = ""
        self.bodies: list[Any] = []
        self.paths: list[str] = []
        self.handler: Handler

    async def answer(self, request: web.Request) -> web.StreamResponse:
        self.paths.append(request.raw_path)
        self.bodies.append(await request.json() if request.can_read_body else None)
        return await self.handler(request)

    def says(self, response: Callable[[], web.StreamResponse]) -> None:
        """Answer everything with what ``response`` makes."""

        async def handler(_: web.Request) -> web.StreamResponse:
            return response()

        self.handler = handler


@pytest_asyncio.fixture
async def provider() -> AsyncIterator[Provider]:
    server = Provider()
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}"
    yield server
    await runner.cleanup()


@pytest.fixture
def ask() -> Callable[..., ChatRequest]:
    """Makes requests of a system prompt and a question."""

    def made(text: str = "Hello there", *, shared: int = 0, **sampling: Any) -> ChatRequest:
        return ChatRequest(
            messages=(Message(role="system", content="Be kind."), Message(role="user", content=text)),
            sampling=Sampling(**{"max_tokens": 20, **sampling}),
            shared=shared,
        )

    return made


@pytest_asyncio.fixture
async def model_at() -> AsyncIterator[Callable[..., AnthropicChatModel]]:
    """Makes models that ask the server at an address; they are closed when the test ends."""
    made: list[AnthropicChatModel] = []

    class Hasty(AnthropicChatModel):
        pause = 0.05

    def make(url: str, **options: Any) -> AnthropicChatModel:
        given = {"model": "claude-haiku-4-5", "api_key": "sk-secret", "base_url": url, **options}
        made.append(Hasty(AnthropicOptions(**given)))
        return made[-1]

    yield make
    for model in made:
        await model.close()
