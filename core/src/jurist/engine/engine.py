"""Engine: makes calls durable, limited, retried and paid for, and streams items through them."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Coroutine, Iterable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pydantic import ValidationError

from jurist.engine.budget import Budget, Cost
from jurist.engine.callee import Callee, guarded, unexpected
from jurist.engine.commits import Commits
from jurist.engine.ledger import Ledger
from jurist.engine.limits import Limiter, Limits, Slot
from jurist.engine.replies import Bills, Reply, storable, timed, with_usage
from jurist.engine.retry import Backoff
from jurist.engine.served import Served
from jurist.engine.stream import stream
from jurist.errors import BudgetStop, JuristError, ProviderError, UsageError
from jurist.events import Events
from jurist.records import Usage

if TYPE_CHECKING:
    from jurist.engine.batches import Batches

SILENCE = 20
"""How many calls of a component that never answered are given up before the run stops."""

T = TypeVar("T")
R = TypeVar("R")


@dataclass
class _Flight(Generic[Reply]):
    """A call on its way, and who still waits for it."""

    key: str
    perform: Callable[[], Awaitable[Reply]]
    callee: Callee
    read: Callable[[str], Reply]
    stored: bool = False
    bound: Cost | None = None
    asking: bool = False
    callers: list[asyncio.Future[Reply]] = field(default_factory=list)

    def land(self, settle: Callable[[asyncio.Future[Reply]], object]) -> None:
        """Tell those who still wait."""
        for caller in self.callers:
            if not caller.done():
                settle(caller)


class Engine:
    """Every paid call goes through :meth:`call`; stages stream their items through :meth:`map`.

    A call is looked up in the ledger, and made only if it is not there: within its component's limits
    and the budget, retried when that can help, and stored before anyone sees the reply.

    ``given_up`` counts the calls of this process that used up their attempts although the same call may
    succeed later. Each counts once, however many wait for it, and not at all when nobody does any more.
    """

    def __init__(
        self,
        ledger: Ledger,
        *,
        events: Events | None = None,
        budget: Budget | None = None,
        window: int = 256,
        backoff: Backoff | None = None,
    ) -> None:
        self.ledger = ledger
        self.events = events or Events()
        self.budget = budget or Budget()
        self.served = Served(self.events)
        self.bills = Bills(self.events)
        self.window = window
        self.given_up = 0
        self._silent: Counter[str] = Counter()
        self._backoff = backoff or Backoff()
        self._commits = Commits(ledger, failed=self.stop)  # no more is paid for what could not be kept
        self._in_flight: dict[str, tuple[_Flight[Any], asyncio.Task[None]]] = {}
        self._reason: JuristError | None = None
        self._stopping = asyncio.Event()
        self._limiters: list[Limiter] = []
        self.batches: dict[str, Batches] = {}
        self.budget.begin(ledger.tallies(), ledger.charged())

    # --- calls -----------------------------------------------------------------------------------

    def limiter(self, limits: Limits, label: str = "") -> Limiter:
        """A limiter whose waiting ends when the engine is stopped, and that tells when calls become fewer."""

        def narrowed(concurrency: int, pause: float) -> None:
            wait = f", none begins for {pause:,.0f} s" if pause >= 1 else ""
            self.events.notice(label, f"refused too often: at most {concurrency} at once now{wait}")

        limiter = Limiter(limits, sleep=self._sleep, narrowed=narrowed)
        self._limiters.append(limiter)
        return limiter

    async def call(
        self,
        key: str,
        perform: Callable[[], Awaitable[Reply]],
        *,
        callee: Callee,
        read: Callable[[str], Reply],
        stored: bool = False,
        bound: Cost | None = None,
    ) -> Reply:
        """The reply stored under ``key``, or else the one that ``perform`` gives, stored first.

        Equal calls at the same time become one. A call that has reached the provider goes on even when
        nobody waits for it any more; one that has not is dropped. ``stored``: ``perform`` stores its replies
        and counts their cost itself. ``bound``: what the call may cost at most, where the dearest so far says
        too little.

        Raises:
            ProviderError: the call failed for good.
            ContractError: a bug in the component.
            Stopped: the engine was stopped before the call began.
        """
        known = self.ledger.get(key)
        if known is not None:
            reply = self._read(known, key, read)
            self.events.call(callee.label, reply.usage, replayed=True)
            return reply
        flight, task = self._in_flight.get(key) or self._take_off(
            _Flight(key, perform, callee, read, stored, bound)
        )
        # A future for each caller: one that is cancelled takes the call from nobody else.
        caller: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        flight.callers.append(caller)
        try:
            return await caller
        finally:
            flight.callers.remove(caller)
            if not flight.callers and not flight.asking and not task.done():
                task.cancel()
                del self._in_flight[key]  # at once, so that a new caller does not join what is ending

    async def release(self) -> None:
        """Forget the components that were called so far; batches under way are left to the next run."""
        for batches in self.batches.values():
            await batches.close()
        self.batches.clear()
        self._limiters.clear()

    async def drain(self) -> None:
        """Wait until the calls in flight are over and their replies stored."""
        while self._in_flight:
            await asyncio.wait([task for _, task in self._in_flight.values()])

    def _take_off(self, flight: _Flight[Reply]) -> tuple[_Flight[Reply], asyncio.Task[None]]:
        task = asyncio.create_task(self._fly(flight))
        self._in_flight[flight.key] = flight, task
        return flight, task

    async def _fly(self, flight: _Flight[Reply]) -> None:
        """Make the call, and tell those who wait for it what came of it."""
        try:
            reply = await self._retried(flight)
        except asyncio.CancelledError:
            flight.land(lambda caller: caller.cancel())
            raise
        except Exception as error:
            fault = error if isinstance(error, JuristError) else unexpected(error, flight.callee)
            flight.land(lambda caller: caller.set_exception(fault))
        else:
            flight.land(lambda caller: caller.set_result(reply))
        finally:
            if self._in_flight.get(flight.key, (None,))[0] is flight:
                del self._in_flight[flight.key]

    async def _retried(self, flight: _Flight[Reply]) -> Reply:
        """Try again while that can help; the slot is free during the wait."""
        failures = 0
        while True:
            try:
                return await self._attempt(flight)
            except ProviderError as error:
                if error is self._reason:
                    raise  # another component's error ended the run before this call began
                failures += 1
                self.ledger.log_failure(flight.key, flight.callee.label, str(error), error.usage)
                if error.fatal:
                    self.stop(error)
                if not error.retryable or error.fatal:
                    raise
                if failures >= flight.callee.limiter.limits.attempts:
                    self.given_up += bool(flight.callers)
                    self._check_silence(flight.callee, error)
                    raise
                delay = self._backoff.delay(failures, error.retry_after)
            if not flight.callers:
                raise asyncio.CancelledError  # nobody waits any more
            await self._sleep(delay)

    async def _attempt(self, flight: _Flight[Reply]) -> Reply:
        label = flight.callee.label
        async with flight.callee.limiter.slot() as slot:
            reply, seconds = await self._paid(flight, slot)
            slot.answered(reply.usage.prompt_tokens + reply.usage.completion_tokens)
            if not flight.stored:
                reply, text = storable(timed(reply, seconds), flight.read)
                committed = self._commits.store((flight.key, label, text, reply.usage))
        if not flight.stored:  # the slot is free already: the commit comes before whoever takes it runs
            await committed
        self.events.call(label, reply.usage, replayed=False)
        return reply

    async def _paid(self, flight: _Flight[Reply], slot: Slot) -> tuple[Reply, float]:
        """The reply of one try within the budget, and the seconds it took."""
        callee = flight.callee
        reserved = await self._reserve(callee.label, flight.bound)
        usage = None
        try:
            self._check_stopped()
            flight.asking = True
            started = time.monotonic()
            reply = await guarded(flight.perform, callee, timeout=callee.limiter.limits.timeout)
            seconds = time.monotonic() - started
            if not flight.stored:
                usage = self.bills.checked(callee.label, reply.usage, _estimate(flight, reserved))
                reply = with_usage(reply, usage)
            return reply, seconds
        except ProviderError as error:
            flight.asking = False
            usage = error.usage = self._charged(error, flight, reserved)
            if error.rate_limited:
                slot.refused(error.retry_after)
            raise
        finally:
            self.budget.settle(callee.label, reserved, usage)

    def _charged(self, error: ProviderError, flight: _Flight[Any], reserved: Cost) -> Usage | None:
        """What a failed call cost, as far as is known: what was set aside for it where it timed out."""
        if error is self._reason:
            return None  # of the call that ended the run, which has counted it
        if error.usage is not None:
            return self.bills.checked(flight.callee.label, error.usage, _estimate(flight, reserved))
        timed_out = type(error.__cause__) is TimeoutError  # not a subclass, such as a time-out of connecting
        if timed_out and not flight.stored:  # a batch that was not taken in time costs nothing
            return Usage(usd=reserved.usd, prompt_tokens=reserved.tokens)
        return None

    async def _reserve(self, component: str, bound: Cost | None) -> Cost:
        try:
            return await self.budget.reserve(component, bound)
        except BudgetStop as stop:
            self.stop(stop)
            raise

    def _check_silence(self, callee: Callee, error: ProviderError) -> None:
        """Stop when so many calls were given up and none was ever answered: the rest would fare no better.

        Raises:
            ProviderError: the reason of the stop.
        """
        self._silent[callee.label] += 1
        if callee.limiter.has_answered or self._silent[callee.label] < SILENCE:
            return
        tries = callee.limiter.limits.attempts
        silence = ProviderError(
            f"'{callee.label}' answered none of {SILENCE} calls, each tried {tries} times.",
            fatal=True,
            provided_by=callee.provided_by,
            cause=error,
            hint="see whether its server can be reached, then run the same command again",
        )
        self.stop(silence)
        raise silence from error

    def _read(self, stored: str, key: str, read: Callable[[str], Reply]) -> Reply:
        try:
            return read(stored)
        except ValidationError as error:
            raise UsageError(
                f"{self.ledger.path} holds a reply ({key}) that this version cannot read.",
                cause=error,
                hint="use the version of jurist-core that wrote it, or start in another directory",
            ) from error

    # --- stopping --------------------------------------------------------------------------------

    def stop(self, reason: JuristError) -> None:
        """Start no more calls; those in flight finish. The first reason given counts."""
        if self._reason is None:
            self._reason = reason
            self._stopping.set()

    @property
    def reason(self) -> JuristError | None:
        """Why the engine was stopped, or None."""
        return self._reason

    def _check_stopped(self) -> None:
        if self._reason is not None:
            raise self._reason

    async def stopped(self) -> None:
        """Wait until the engine is stopped, then raise the reason."""
        await self._stopping.wait()
        self._check_stopped()

    @property
    def widest(self) -> int:
        """How many items may be in flight at most: twice what the component with the most calls may have."""
        return 2 * max((limiter.limits.concurrency for limiter in self._limiters), default=0)

    @property
    def queued(self) -> bool:
        """Whether calls of some component queue for their turn."""
        return any(limiter.queued for limiter in self._limiters)

    async def _sleep(self, seconds: float) -> None:
        """Sleep, unless the engine is stopped: then raise the reason."""
        try:
            async with asyncio.timeout(seconds):
                await self._stopping.wait()
        except TimeoutError:
            return
        self._check_stopped()

    def map(
        self,
        function: Callable[[T], Coroutine[Any, Any, R]],
        items: Iterable[T] | AsyncIterable[T],
        *,
        window: int | None = None,
    ) -> AsyncIterator[R]:
        """``function`` of every item, in the order of the items, a window of them at a time.

        More than that are in flight where a component may have more calls than they make, or where its calls
        are gathered into batches.
        When the engine is stopped no more items are begun, and the reason is raised after the results
        that were complete. When an item raises, the calls in flight are waited for first.
        """
        fullest = max((batches.size for batches in self.batches.values()), default=0)
        return stream(function, items, window or max(self.window, fullest), self)


def _estimate(flight: _Flight[Any], reserved: Cost) -> Cost:
    """What a call may cost, as far as is known; without caps nothing is set aside."""
    return reserved if flight.bound is None else reserved.most(flight.bound)
