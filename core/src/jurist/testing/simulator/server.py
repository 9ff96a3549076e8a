"""The simulator in a thread."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Collection
from typing import Any, Self

from jurist.testing.simulator.answers import Answer, judge_by_marker
from jurist.testing.simulator.counters import Counters
from jurist.testing.simulator.faults import Faults
from jurist.testing.simulator.latency import Latency
from jurist.testing.simulator.listener import HOST, listening
from jurist.testing.simulator.service import Service
from jurist.testing.simulator.settings import AT_ONCE, FAULTLESS, Settings


class Simulator:
    """A simulated provider that serves from a thread for as long as the ``with`` block lasts.

    * ``answer``: what the model says; called in the server's thread, one request at a time, so be quick.
    * ``latency`` (or its seconds), ``faults``: how slow generations are, and what goes wrong; drawn with
      ``seed`` in order of arrival.
    * ``port``: 0 takes a free one.
    * ``requests_per_minute``: more generations get 429, with the seconds until the next one may come. A
      minute's worth may come at once, as with providers.
    * ``capacity``: the most generations served at once; more get 429.
    * ``batch_seconds``: how long a batch takes. With ``hold_batches`` none begins before
      ``release_batches()``.
    * ``served_model``: the model named in answers; by default the one asked for, with a date.
    * ``keys``: the API keys that are good; by default any.
    * ``keep_last``: how many requests ``counters`` keeps the bodies and headers of.
    """

    def __init__(
        self,
        answer: Answer = judge_by_marker,
        *,
        latency: Latency | float = AT_ONCE,
        faults: Faults = FAULTLESS,
        seed: int = 0,
        port: int = 0,
        requests_per_minute: float | None = None,
        capacity: int | None = None,
        batch_seconds: float = 1.0,
        hold_batches: bool = False,
        served_model: str | None = None,
        keys: Collection[str] | None = None,
        keep_last: int = 100,
    ) -> None:
        settings = Settings(
            latency=latency if isinstance(latency, Latency) else Latency.constant(latency),
            faults=faults,
            seed=seed,
            requests_per_minute=requests_per_minute,
            capacity=capacity,
            batch_seconds=batch_seconds,
            hold_batches=hold_batches,
            served_model=served_model,
            keys=None if keys is None else frozenset(keys),
            keep_last=keep_last,
        )
        self._service = Service(settings, answer)
        self._port = port
        self._thread = threading.Thread(target=self._run, name="jurist-simulator", daemon=True)
        self._ready = threading.Event()
        self._failure: BaseException | None = None

    @property
    def url(self) -> str:
        """The address for OpenAI's clients, which ends in /v1."""
        return f"{self.anthropic_url}/v1"

    @property
    def anthropic_url(self) -> str:
        """The address for Anthropic's clients."""
        if not self._ready.is_set():
            raise RuntimeError("the simulator has no address before it serves; write: with Simulator() as …")
        return f"http://{HOST}:{self._port}"

    @property
    def counters(self) -> Counters:
        """What was counted, still there when the server has stopped."""
        return self._service.counters

    def stats(self) -> dict[str, Any]:
        """The counters as JSON."""
        return self.counters.snapshot()

    def release_batches(self) -> None:
        """Hold batches no longer."""
        asyncio.run_coroutine_threadsafe(self._release(), self._loop).result()

    async def _release(self) -> None:
        self._service.release()

    def __enter__(self) -> Self:
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            self._thread.join()
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        if self._failure is not None:
            raise self._failure

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as failure:
            self._failure = failure
        finally:
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        async with listening(self._service, self._port) as self._port:
            self._ready.set()
            await self._stop.wait()
