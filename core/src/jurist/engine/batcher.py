"""Batcher: gathers concurrent calls into batches, for components that work best on many items."""

from __future__ import annotations

import asyncio
import inspect
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Generic, TypeVar, cast

from jurist.errors import ContractError

T = TypeVar("T")
R = TypeVar("R")


class Batcher(Generic[T, R]):
    """Runs ``function`` on lists of items that were submitted one by one.

    A batch starts when ``max_size`` items wait, or after ``max_wait`` seconds in which it might have
    filled. One batch runs at a time: a plain function in one worker thread of its own, an async one in
    the event loop. Results belong to items by position. When a batch of several raises, its items are
    run one by one, so that a bad item fails alone.
    """

    def __init__(
        self,
        function: Callable[[list[T]], Sequence[R] | Awaitable[Sequence[R]]],
        *,
        max_size: int,
        max_wait: float = 0.005,
    ) -> None:
        self._function = function
        self._max_size = max_size
        self._max_wait = max_wait
        self._waiting: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._full = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="jurist-batcher")
        self._closed = False

    async def submit(self, item: T) -> R:
        """The result for one item.

        Raises:
            ContractError: the function gave another number of results than it got items.
        """
        if self._closed:
            raise RuntimeError("the batcher is closed")
        result: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self._waiting.append((item, result))
        if len(self._waiting) >= self._max_size:
            self._full.set()
        if self._worker is None or self._worker.done():
            self._full = asyncio.Event()
            self._worker = asyncio.create_task(self._work())
        return await result

    async def close(self) -> None:
        """Run what still waits, then end the worker thread."""
        self._closed = True
        self._full.set()
        if self._worker is not None:
            await self._worker
        await asyncio.get_running_loop().run_in_executor(None, self._thread.shutdown)

    async def _work(self) -> None:
        """Run batches for as long as items wait."""
        while self._waiting:
            await self._gather()
            batch = [self._waiting.popleft() for _ in range(min(self._max_size, len(self._waiting)))]
            batch = [(item, result) for item, result in batch if not result.done()]
            if batch:
                await self._answer(batch)

    async def _gather(self) -> None:
        """Wait until a batch is full, or its first item has waited long enough."""
        if len(self._waiting) >= self._max_size or self._closed:
            return
        self._full.clear()
        try:
            async with asyncio.timeout(self._max_wait):
                await self._full.wait()
        except TimeoutError:
            pass

    async def _answer(self, batch: list[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            results = await self._run([item for item, _ in batch])
        except asyncio.CancelledError:
            for _, result in batch:
                result.cancel()
            raise
        except Exception as error:
            if len(batch) > 1 and not isinstance(error, ContractError):
                for entry in batch:
                    await self._answer([entry])
                return
            for _, result in batch:
                if not result.done():
                    result.set_exception(error)
            return
        for (_, result), value in zip(batch, results, strict=True):
            if not result.done():
                result.set_result(value)

    async def _run(self, items: list[T]) -> Sequence[R]:
        results: Sequence[R]
        if inspect.iscoroutinefunction(self._function):
            results = await self._function(items)
        else:
            loop = asyncio.get_running_loop()
            results = await loop.run_in_executor(self._thread, self._run_in_thread, items)
        if len(results) != len(items):
            raise ContractError(f"The batch function gave {len(results)} results for {len(items)} items.")
        return results

    def _run_in_thread(self, items: list[T]) -> Sequence[R]:
        try:
            return cast(Sequence[R], self._function(items))
        except StopIteration as error:  # a future cannot carry it, so its callers would wait for ever
            raise RuntimeError("the batch function raised StopIteration") from error
