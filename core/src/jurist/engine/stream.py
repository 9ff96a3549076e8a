"""Stream: a function of many items, a bounded window of them at a time, results in order."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable
from typing import Any, Protocol, TypeVar

from jurist.errors import JuristError, ProviderError

_ROOM = 3500
"""How many results there is memory for while they wait for an earlier item that takes long; an item in
flight takes the room of three of them."""

T = TypeVar("T")
R = TypeVar("R")


class Stoppable(Protocol):
    """What a stream asks of the engine that its items make calls through."""

    @property
    def reason(self) -> JuristError | None:
        """Why no more items may begin, or None."""

    @property
    def widest(self) -> int:
        """How many items may be in flight at most, where calls do not queue."""

    @property
    def queued(self) -> bool:
        """Whether calls queue for their turn."""

    def stop(self, reason: JuristError) -> None:
        """Begin no more calls."""

    async def drain(self) -> None:
        """Wait until the calls in flight are over."""


class _Places:
    """How many items may be in flight: ``window``, and more where that leaves components without calls.

    After as many items as are in flight, if no call had to queue for its turn meanwhile, a quarter is added;
    else a sixteenth is taken away again. ``taken`` are the items in flight and the results that
    wait to be handed on.
    """

    def __init__(self, window: int, engine: Stoppable) -> None:
        self._engine = engine
        self._window = self._size = window
        self._most = max(window, engine.widest)
        self._over = 0
        self._ended = 0
        self._queued = False
        self._running = asyncio.Semaphore(window)
        self.taken = asyncio.Semaphore(self._most + max(self._most // 2, _ROOM - 3 * self._most))

    async def take(self) -> None:
        """Wait until one more item may begin."""
        await self.taken.acquire()
        await self._running.acquire()

    def release(self, _: object) -> None:
        """An item is over."""
        self._queued = self._queued or self._engine.queued
        self._ended += 1
        if self._over:
            self._over -= 1
        else:
            self._running.release()
        if self._ended >= self._size:
            self._resize(self._size - self._size // 16 if self._queued else self._size + self._size // 4)
            self._ended, self._queued = 0, False

    def _resize(self, size: int) -> None:
        size = min(max(size, self._window), self._most)
        for _ in range(size - self._size):
            self._running.release()
        self._over += max(0, self._size - size)
        self._size = size


async def stream(
    function: Callable[[T], Coroutine[Any, Any, R]],
    items: Iterable[T] | AsyncIterable[T],
    window: int,
    engine: Stoppable,
) -> AsyncIterator[R]:
    """Yield ``function(item)`` of every item, in the order of the items; see ``Engine.map``."""
    places = _Places(window, engine)
    begun: asyncio.Queue[asyncio.Task[R] | None] = asyncio.Queue()
    feeder = asyncio.create_task(_feed(function, items, places, begun, engine))
    task: asyncio.Task[R] | None = None
    try:
        while (task := await begun.get()) is not None:
            result = await task
            if isinstance(engine.reason, ProviderError):
                break  # its item may look like any other failure
            places.taken.release()
            yield result
        if engine.reason is not None:
            raise engine.reason
        await feeder
    except Exception as error:
        earlier = engine.reason
        await _abandon(feeder, begun, task)
        # Calls in flight end and are kept; what could go on for hours (a batch) is left to the next run.
        engine.stop(error if isinstance(error, JuristError) else JuristError("a bug", cause=error))
        await engine.drain()
        if earlier is not None and error is not earlier:
            raise earlier from error
        raise
    finally:
        await _abandon(feeder, begun, task)


async def _feed(
    function: Callable[[T], Coroutine[Any, Any, R]],
    items: Iterable[T] | AsyncIterable[T],
    places: _Places,
    begun: asyncio.Queue[asyncio.Task[R] | None],
    engine: Stoppable,
) -> None:
    """Begin items while there is room; None in the queue marks the end."""
    source = aiter(items) if isinstance(items, AsyncIterable) else _each(items)
    try:
        while engine.reason is None:
            await places.take()
            item = await anext(source)
            if engine.reason is None:
                task = asyncio.create_task(function(item))
                task.add_done_callback(places.release)
                begun.put_nowait(task)
    except StopAsyncIteration:
        pass
    finally:
        begun.put_nowait(None)
        if isinstance(source, AsyncGenerator):
            await source.aclose()


async def _each(items: Iterable[T]) -> AsyncIterator[T]:
    for item in items:
        yield item


async def _abandon(
    feeder: asyncio.Task[None], begun: asyncio.Queue[asyncio.Task[R] | None], task: asyncio.Task[R] | None
) -> None:
    """Cancel what was begun and not yet taken. The calls these items wait for go on."""
    feeder.cancel()
    await asyncio.wait([feeder])
    rest = [task] if task else []
    while not begun.empty():
        if (entry := begun.get_nowait()) is not None:
            rest.append(entry)
    for entry in rest:
        entry.cancel()
    await asyncio.gather(feeder, *rest, return_exceptions=True)
