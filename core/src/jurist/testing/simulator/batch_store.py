"""The batches of one provider."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from contextlib import suppress
from random import Random
from typing import Any

from jurist.testing.simulator.batch import Batch, Line, Result
from jurist.testing.simulator.counters import Counters
from jurist.testing.simulator.dialect import Dialect
from jurist.testing.simulator.faults import FaultDraws
from jurist.testing.simulator.model import Model
from jurist.testing.simulator.rejection import Rejected
from jurist.testing.simulator.settings import Settings

TICK = 0.01
"""Seconds of the shortest pause between two requests of a batch."""
STRETCH = 50
"""Requests of a batch that are answered before other calls get a turn."""


class BatchStore:
    """Keeps batches as long as the server lives, and works on them one request after the other.

    A batch takes ``batch_seconds``, its requests evenly spread. One that is held does not begin.
    """

    def __init__(
        self, settings: Settings, dialect: Dialect, model: Model, draws: FaultDraws, counters: Counters
    ) -> None:
        self._seconds = settings.batch_seconds
        self._held = settings.hold_batches
        self._order = Random(f"{settings.seed}/{dialect.provider}")
        self._dialect = dialect
        self._model = model
        self._draws = draws
        self._counters = counters
        self._batches: dict[str, Batch] = {}
        self._working: set[asyncio.Task[None]] = set()

    def create(
        self, kind: str, lines: list[Line], told: dict[str, Any], ended: Callable[[Batch], None]
    ) -> Batch:
        """A new batch, which calls ``ended`` at its end."""
        batch = Batch(self._dialect.new_id(kind), lines, told, time.time())
        for line in lines:
            line.fault = self._draws.of_line()
        self._batches[batch.id] = batch
        task = asyncio.get_running_loop().create_task(self._work(batch, ended))
        self._working.add(task)
        task.add_done_callback(self._working.discard)
        return batch

    def find(self, batch_id: str) -> Batch:
        """The batch of that id."""
        if batch_id not in self._batches:
            raise Rejected(404, f"No batch found with id '{batch_id}'.")
        return self._batches[batch_id]

    def page(self, limit: int, after: str | None, before: str | None = None) -> tuple[list[Batch], bool]:
        """The newest batches after or before one, newest first, and whether there are more."""
        newest = list(reversed(self._batches.values()))
        if before is not None:
            earlier = newest[: newest.index(self.find(before))]
            return earlier[-limit:], len(earlier) > limit
        rest = newest if after is None else newest[newest.index(self.find(after)) + 1 :]
        return rest[:limit], len(rest) > limit

    def cancel(self, batch: Batch) -> None:
        """Let a batch end soon, with the requests that are answered by now."""
        batch.cancelled = batch.cancelled or time.time()
        batch.nudge.set()

    def release(self) -> None:
        """Hold batches no longer."""
        self._held = False
        for batch in self._batches.values():
            batch.nudge.set()

    async def close(self) -> None:
        """Work no more."""
        for task in self._working:
            task.cancel()
        await asyncio.gather(*self._working, return_exceptions=True)

    async def _work(self, batch: Batch, ended: Callable[[Batch], None]) -> None:
        while self._held and batch.cancelled is None:
            await batch.nudge.wait()
            batch.nudge.clear()
        for number, line in enumerate(batch.lines, start=1):
            due = batch.created + self._seconds * number / len(batch.lines)
            while batch.cancelled is None and (left := due - time.time()) > 0:
                await self._pause(batch, max(left, TICK))
            if number % STRETCH == 0:
                await asyncio.sleep(0)
            line.result = Result("canceled") if batch.cancelled is not None else self._answered(line)
        # Providers give no order of results; who relies on one shall notice.
        self._order.shuffle(batch.lines)
        batch.ended = time.time()
        ended(batch)

    async def _pause(self, batch: Batch, seconds: float) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(batch.nudge.wait(), seconds)
            batch.nudge.clear()

    def _answered(self, line: Line) -> Result:
        """Answer one request, unless its fault comes first."""
        faults, fault = self._counters.faults, line.fault
        if fault == "batch_expired":
            faults[fault] += 1
            return Result("expired")
        try:
            if fault == "batch_errored":
                faults[fault] += 1
                raise Rejected(500, "The server had an error while processing your request.")
            asked = self._dialect.asked(line.body)
            body = self._model.generate(self._dialect, asked, self._dialect.cached(asked), fault)
        except Rejected as rejected:
            return Result("errored", rejected.status, self._dialect.error(rejected))
        if fault is not None:
            faults[fault] += 1
        self._counters.batched += 1
        return Result("succeeded", body=body)
