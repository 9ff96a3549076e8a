"""Limits: how many calls of one component may run at once and per minute."""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Awaitable, Callable
from types import TracebackType

from pydantic import Field

from jurist.options import Options

Sleep = Callable[[float], Awaitable[None]]

TOLERATED = 0.1
"""The share of calls that a provider may refuse before fewer run at once.

A call that is refused now and then is only made again; to slow all others down for it would cost more.
"""
_REMEMBERED = 200
"""How many calls that share is taken of, at least."""


class Limits(Options):
    """The limits of one component."""

    concurrency: int = Field(
        default=16,
        ge=1,
        description='Calls in flight at once. Halved when the provider often says "too many", and widened '
        "again as calls are answered.",
    )
    requests_per_minute: int | None = Field(default=None, ge=1, description="Calls begun per minute.")
    tokens_per_minute: int | None = Field(
        default=None, ge=1, description="Prompt and completion tokens per minute."
    )
    attempts: int = Field(default=10, ge=1, description="How often one call is tried in all.")
    timeout: float | None = Field(
        default=120.0, gt=0, description="Seconds that one try may take; `null` for no limit."
    )


class Bucket:
    """A rate per minute, as a level that time fills and takers draw from.

    A taker may overdraw, and whoever comes next waits until the debt is paid. So an amount that is
    larger than the bucket, or known only afterwards, needs no special case.
    """

    def __init__(self, per_minute: float, burst: float, clock: Callable[[], float]) -> None:
        self._rate = per_minute / 60
        self._burst = burst
        self._clock = clock
        self._level = burst
        self._filled = clock()

    def take(self, amount: float) -> float:
        """Draw ``amount``; returns the seconds to wait before using it."""
        now = self._clock()
        self._level = min(self._burst, self._level + (now - self._filled) * self._rate)
        self._filled = now
        wait = max(0.0, -self._level / self._rate)
        self._level -= amount
        return wait


class Limiter:
    """Keeps the calls of one component within its limits; those that must wait go in their order.

    When they become fewer, ``narrowed`` is told how many may run at once and how many seconds none begins.
    """

    def __init__(
        self,
        limits: Limits,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Sleep = asyncio.sleep,
        narrowed: Callable[[int, float], None] = lambda concurrency, pause: None,
    ) -> None:
        self.limits = limits
        self._tell_narrowed = narrowed
        self._clock = clock
        self._sleep = sleep
        self._width = float(limits.concurrency)
        self._active = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._narrowed = -math.inf
        self._started = 0.0
        self._refused = 0.0
        self._resume = 0.0
        self._mean_tokens = 0.0
        self._answered = 0
        # A burst of one second's worth: 60 per minute means one each second, not 60 at once.
        requests, tokens = limits.requests_per_minute, limits.tokens_per_minute
        self._requests = Bucket(requests, max(0.0, requests / 60 - 1), clock) if requests else None
        self._tokens = Bucket(tokens, tokens / 60, clock) if tokens else None

    @property
    def concurrency(self) -> int:
        """How many calls may be in flight at this moment."""
        return int(self._width)

    @property
    def queued(self) -> bool:
        """Whether calls wait for their turn."""
        return bool(self._waiting)

    @property
    def has_answered(self) -> bool:
        """Whether any call was answered."""
        return self._answered > 0

    def slot(self) -> Slot:
        """A block that is entered when one more call may start; the call is over when it is left."""
        return Slot(self)

    async def enter(self) -> tuple[float, float]:
        """Wait for leave to start a call; returns the time, and how many tokens it is taken to need."""
        await self._enter()
        while (pause := self._resume - self._clock()) > 0:
            self.leave()
            await self._sleep(pause)
            await self._enter()
        try:
            estimate = self._mean_tokens
            wait = max(
                self._requests.take(1) if self._requests else 0.0,
                self._tokens.take(estimate) if self._tokens else 0.0,
            )
            if wait > 0:
                await self._sleep(wait)
        except BaseException:
            self.leave()
            raise
        self._started += 1
        return self._clock(), estimate

    async def _enter(self) -> None:
        if self._active < self.concurrency:
            self._active += 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():
                self.leave()  # the slot was given in the moment of the cancellation
            raise

    def leave(self) -> None:
        """A call is over, so another may start."""
        self._active -= 1
        while self._waiting and self._active < self.concurrency:
            turn = self._waiting.popleft()
            if not turn.done():
                self._active += 1
                turn.set_result(None)

    def answered(self, estimate: float, tokens: int) -> None:
        """A call was answered: settle its tokens, and widen a narrowed concurrency by a little."""
        self._answered += 1
        self._mean_tokens += (tokens - self._mean_tokens) / self._answered
        if self._tokens:
            self._tokens.take(tokens - estimate)
        self._width = min(float(self.limits.concurrency), self._width + 1 / self._width)

    def refused(self, started: float, retry_after: float | None) -> None:
        """The provider said "too many": when it says so often, halve the concurrency and pause all calls.

        Calls that were under way when it was halved say nothing about the new width.
        """
        if started <= self._narrowed:
            return
        self._refused += 1
        if self._started > max(_REMEMBERED, 4 * self._width):
            self._started, self._refused = self._started / 2, self._refused / 2
        # Two standard deviations above what chance makes of the share that is tolerated.
        chance = math.sqrt(TOLERATED * (1 - TOLERATED) * self._started)
        if self._refused <= TOLERATED * self._started + 2 * chance:
            return
        self._width = max(1.0, self._width / 2)
        self._narrowed = self._clock()
        self._started = self._refused = 0.0
        self._resume = max(self._resume, self._narrowed + (retry_after or 0.0))
        self._tell_narrowed(self.concurrency, self._resume - self._narrowed)


class Slot:
    """One call's leave to run, and its duty to say how it went."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self._started = 0.0
        self._estimate = 0.0

    async def __aenter__(self) -> Slot:
        self._started, self._estimate = await self._limiter.enter()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._limiter.leave()

    def answered(self, tokens: int) -> None:
        """The call was answered and took ``tokens``."""
        self._limiter.answered(self._estimate, tokens)

    def refused(self, retry_after: float | None) -> None:
        """The provider said "too many"."""
        self._limiter.refused(self._started, retry_after)
