"""Models under test, and a loopback server for replies that the simulator cannot make."""

from __future__ import annotations

import os

os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio
from aiohttp import web

from jurist.chat import ChatRequest, Sampling
from jurist.records import Message
from jurist_litellm.model import LiteLLMChatModel, LiteLLMOptions


class Provider:
    """A server that answers every request with what ``reply`` makes and keeps what it was sent."""

    def __init__(self) -> None:
        self.url = ""
        self.bodies: list[dict[str, Any]] = []
        self.reply: Callable[[], web.Response]

    def fails(self, status: int, message: str, **fields: Any) -> None:
        """Answer with an error as OpenAI writes it."""
        error = {"message": message, "type": "error", "param": None, "code": None, **fields}
        self.reply = lambda: web.json_response({"error": error}, status=status)

    async def answer(self, request: web.Request) -> web.Response:
        self.bodies.append(await request.json())
        return self.reply()


@pytest_asyncio.fixture
async def provider() -> AsyncIterator[Provider]:
    server = Provider()
    app = web.Application()
    app.router.add_post("/v1/chat/completions", server.answer)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    server.url = f"http://{host}:{port}/v1"
    yield server
    await runner.cleanup()


@pytest.fixture
def ask() -> Callable[..., ChatRequest]:
    """Makes requests of a system prompt and a question."""

    def made(text: str = "Hello there", *choices: str, **sampling: Any) -> ChatRequest:
        return ChatRequest(
            messages=(Message(role="system", content="Be kind."), Message(role="user", content=text)),
            sampling=Sampling(**{"temperature": 0.5, "max_tokens": 20, **sampling}),
            choices=choices,
        )

    return made


@pytest.fixture
def model_at() -> Callable[..., LiteLLMChatModel]:
    """Makes models that ask the server at an address."""

    def made(url: str | None, model: str = "openai/gpt-4o-mini", **options: Any) -> LiteLLMChatModel:
        given = {"model": model, "api_base": url, "api_key": "sk-secret", **options}
        return LiteLLMChatModel(LiteLLMOptions.model_validate(given))

    return made
