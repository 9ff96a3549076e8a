"""Where every call is received: its key is checked, and faults strike."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import cycle
from random import Random

import orjson
from aiohttp import web

from jurist.testing.simulator import wire
from jurist.testing.simulator.alarm import Alarm
from jurist.testing.simulator.counters import Counters
from jurist.testing.simulator.dialect import Dialect
from jurist.testing.simulator.faults import FaultDraws
from jurist.testing.simulator.gate import Bucket, retry_after, retry_after_whole
from jurist.testing.simulator.model import Model
from jurist.testing.simulator.rejection import Rejected
from jurist.testing.simulator.sealed import Sealed
from jurist.testing.simulator.settings import Settings


class Desk:
    """Receives calls, answers generations, and lets things go wrong as often as it was told."""

    def __init__(self, settings: Settings, counters: Counters, draws: FaultDraws, model: Model) -> None:
        self._keys = settings.keys
        self._capacity = settings.capacity
        self._faults = settings.faults
        self._latency = settings.latency
        self._random = Random(f"{settings.seed}/latency")
        rate = settings.requests_per_minute
        self._bucket = None if rate is None else Bucket(rate)
        self._counters = counters
        self._draws = draws
        self._model = model
        self._alarm = Alarm()
        self._in_chunks = cycle((False, True))

    def check_key(self, dialect: Dialect, headers: Mapping[str, str]) -> None:
        """Turn away calls without a key that is known."""
        key = dialect.key(headers)
        if not key:
            raise Rejected(401, "You didn't provide an API key.")
        if self._keys is not None and key not in self._keys:
            raise Rejected(401, "Incorrect API key provided.", code="invalid_api_key")

    async def generate(self, request: web.BaseRequest, dialect: Dialect) -> web.StreamResponse:
        """Answer a generation, or not."""
        body = request.content
        # Most are there already, and then a coroutine is a detour.
        data = body.read_nowait() if body.is_eof() else await request.read()
        counters = self._counters
        counters.arrived(request.headers, data)
        try:
            self.check_key(dialect, request.headers)
            asked = dialect.asked(read_json(data))
            self._admit()
            fault = self._draws.of_generation()
            seconds = self._latency.draw(self._random)
            if fault == "rate_limited":
                self._rate_limited(dialect)
            use = dialect.cached(asked)
            counters.begin()
            try:
                if fault == "stall":
                    return await self._stall(request)
                if seconds:
                    await self._alarm.sleep(seconds)
                if (broken := self._broken(request, fault)) is not None:
                    return broken
                payload = orjson.dumps(self._model.generate(dialect, asked, use, fault))
                return self._sent(request, dialect, payload, fault)
            finally:
                counters.end()
        except Rejected as rejected:
            return dialect.rejection(rejected)

    def _sent(
        self, request: web.BaseRequest, dialect: Dialect, payload: bytes, fault: str | None
    ) -> web.StreamResponse:
        """Send the answer, and count it as sent."""
        if fault is not None:
            self._counters.faults[fault] += 1
        if wire.hung_up(request):
            self._counters.abandoned += 1
        elif fault == "truncated":
            return self._truncated(request, payload)
        else:
            self._counters.answered += 1
        return dialect.response(payload)

    async def call(
        self, request: web.BaseRequest, dialect: Dialect, answer: Callable[[], Sealed]
    ) -> web.StreamResponse:
        """Answer a call that is no generation, or not.

        What ``answer`` does is left undone if a fault takes its place, and done if its answer is cut off.
        """
        fault = self._draws.of_call()
        if fault == "rate_limited":
            self._rate_limited(dialect)
        if fault == "stall":
            return await self._stall(request)
        if (broken := self._broken(request, fault)) is not None:
            return broken
        response = answer()
        if fault != "truncated":
            return response
        self._counters.faults["truncated"] += 1
        return self._truncated(request, response.payload)

    def _truncated(self, request: web.BaseRequest, payload: bytes) -> web.StreamResponse:
        """Send half of an answer."""
        return wire.truncated(request, payload, chunked=next(self._in_chunks))

    def _admit(self) -> None:
        """Turn away what is beyond the limits."""
        late = self._faults.retry_after_date
        if self._capacity is not None and self._counters.in_flight >= self._capacity:
            self._counters.faults["capacity"] += 1
            message = f"More than {self._capacity} requests at once."
            raise Rejected(429, message, code="rate_limit_exceeded", headers=retry_after(1, late))
        if self._bucket is not None and (wait := self._bucket.take()) > 0:
            self._counters.faults["requests_per_minute"] += 1
            message = f"Rate limit reached. Please try again in {wait:.3f}s."
            raise Rejected(429, message, code="rate_limit_exceeded", headers=retry_after_whole(wait, late))

    def _rate_limited(self, dialect: Dialect) -> None:
        """Turn away what the fault of this name strikes."""
        self._counters.faults["rate_limited"] += 1
        faults = self._faults
        if faults.insufficient_quota:
            raise dialect.unpaid()
        wait = faults.retry_after
        headers = None if wait is None else retry_after(wait, faults.retry_after_date)
        raise Rejected(429, "Rate limit reached.", code="rate_limit_exceeded", headers=headers)

    async def _stall(self, request: web.BaseRequest) -> web.StreamResponse:
        self._counters.faults["stall"] += 1
        return await wire.stall(request, self._faults.stall_seconds)

    def _broken(self, request: web.BaseRequest, fault: str | None) -> web.StreamResponse | None:
        """What is sent in place of an answer, if this fault takes its place."""
        if fault is None or fault in ("truncated", "garbage", "refusal"):
            return None
        self._counters.faults[fault] += 1
        if fault == "reset":
            return wire.reset(request)
        if fault == "not_json":
            return wire.not_json()
        if fault == "overloaded":
            raise Rejected(529, "Overloaded")
        raise Rejected(500, "The server had an error while processing your request.")


def read_json(data: bytes) -> object:
    """The JSON of a body."""
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError as error:
        raise Rejected(400, f"The body of the request is not JSON: {error}") from error
