"""Sleep for thousands of requests at once."""

from __future__ import annotations

import asyncio
import math

TICK = 0.001
"""Seconds that a sleeper may be woken late."""


class Alarm:
    """Wakes everybody who is due within the same tick with a single timer, which asyncio.sleep does not."""

    def __init__(self) -> None:
        self._sleepers: dict[int, list[asyncio.Future[None]]] = {}

    async def sleep(self, seconds: float) -> None:
        """Come back after this time."""
        loop = asyncio.get_running_loop()
        tick = math.ceil((loop.time() + seconds) / TICK)
        group = self._sleepers.get(tick)
        if group is None:
            group = self._sleepers[tick] = []
            loop.call_at(tick * TICK, self._wake, tick)
        sleeper = loop.create_future()
        group.append(sleeper)
        await sleeper

    def _wake(self, tick: int) -> None:
        for sleeper in self._sleepers.pop(tick):
            if not sleeper.done():
                sleeper.set_result(None)
