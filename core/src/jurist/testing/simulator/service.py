"""Everything that the simulator answers, by method and path."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import orjson
from aiohttp import web

from jurist.testing.simulator.answers import Answer
from jurist.testing.simulator.anthropic_api import AnthropicDialect
from jurist.testing.simulator.anthropic_batches import AnthropicBatches
from jurist.testing.simulator.batch_store import BatchStore
from jurist.testing.simulator.call import Call, read_upload
from jurist.testing.simulator.counters import Counters
from jurist.testing.simulator.desk import Desk, read_json
from jurist.testing.simulator.dialect import Dialect
from jurist.testing.simulator.faults import FaultDraws
from jurist.testing.simulator.model import Model
from jurist.testing.simulator.openai_api import OpenAIDialect
from jurist.testing.simulator.openai_batches import OpenAIBatches
from jurist.testing.simulator.openai_files import OpenAIFiles
from jurist.testing.simulator.rejection import Rejected
from jurist.testing.simulator.sealed import Sealed
from jurist.testing.simulator.settings import Settings

MODELS = ("simulator-large", "simulator-small")


class Service:
    """Both providers, with one set of counters."""

    def __init__(self, settings: Settings, answer: Answer) -> None:
        self.counters = Counters(settings.keep_last)
        draws = FaultDraws(settings.faults, settings.seed)
        model = Model(answer, self.counters)
        self._desk = Desk(settings, self.counters, draws, model)
        self._openai = OpenAIDialect(settings.served_model)
        self._anthropic = AnthropicDialect(settings.served_model)
        self._stores = tuple(
            BatchStore(settings, dialect, model, draws, self.counters)
            for dialect in (self._openai, self._anthropic)
        )
        self._files = OpenAIFiles(self._openai)
        self._openai_batches = OpenAIBatches(self._openai, self._files, self._stores[0])
        self._anthropic_batches = AnthropicBatches(self._anthropic, self._stores[1])

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        path = request.raw_path
        if request.method == "POST":
            if path == "/v1/chat/completions":
                return await self._desk.generate(request, self._openai)
            if path == "/v1/messages":
                return await self._desk.generate(request, self._anthropic)
        parts = tuple(part for part in request.path.split("/") if part)
        if parts[:1] == ("simulator",):
            return self._control(request.method, parts[1:])
        return await self._call(request, parts)

    def release(self) -> None:
        """Hold batches no longer."""
        for store in self._stores:
            store.release()

    async def close(self) -> None:
        """Let go of what is being worked on."""
        for store in self._stores:
            await store.close()

    def _control(self, method: str, parts: tuple[str, ...]) -> web.Response:
        """What is asked of the simulator itself."""
        if (method, *parts) == ("GET", "stats"):
            told: dict[str, Any] = self.counters.snapshot()
            if self.counters.bodies.maxlen:
                told |= {"bodies": list(self.counters.bodies), "headers": list(self.counters.headers)}
        elif (method, *parts) == ("POST", "release"):
            self.release()
            told = {"released": True}
        else:
            return web.Response(status=404, text=f"The simulator has no {method} {'/'.join(parts)}.\n")
        # The names of aiohttp's headers are of a subclass of str, which orjson takes for no text.
        body = orjson.dumps(told, option=orjson.OPT_NON_STR_KEYS)
        return web.Response(body=body, content_type="application/json")

    async def _call(self, request: web.BaseRequest, parts: tuple[str, ...]) -> web.StreamResponse:
        """Answer what is no generation."""
        dialect: Dialect = self._anthropic if parts[:2] == ("v1", "messages") else self._openai
        try:
            if (request.method, *parts) == ("POST", "v1", "files"):
                self.counters.arrived(request.headers, b"")
                self._desk.check_key(dialect, request.headers)
                body: object = await read_upload(request)
            else:
                data = await request.read()
                self.counters.arrived(request.headers, data)
                self._desk.check_key(dialect, request.headers)
                body = read_json(data) if data else None
            origin = f"{request.scheme}://{request.host}"
            call = Call(request.method, parts[1:], request.query, body, origin)
            return await self._desk.call(request, dialect, self._answerer(call, parts))
        except Rejected as rejected:
            return dialect.rejection(rejected)

    def _answerer(self, call: Call, parts: tuple[str, ...]) -> Callable[[], Sealed]:
        """Who answers a call."""
        if parts[:2] == ("v1", "files"):
            return lambda: self._files.respond(call)
        if parts[:2] == ("v1", "batches"):
            return lambda: self._openai_batches.respond(call)
        if parts[:3] == ("v1", "messages", "batches"):
            return lambda: self._anthropic_batches.respond(call)
        return lambda: self._models(call)

    def _models(self, call: Call) -> Sealed:
        if (call.method, *call.parts) != ("GET", "models"):
            raise call.unknown()
        shown = [
            {"id": name, "object": "model", "created": 1767225600, "owned_by": "simulator"} for name in MODELS
        ]
        return self._openai.response(orjson.dumps({"object": "list", "data": shown}))
