"""Batches: gathers the calls of one chat model into a provider's batches, and keeps book of them.

A batch is written down in the ledger before it is handed in, and its replies are stored before it is
struck off. So whenever the process dies, the next one finds the batches that are under way and waits for
them: no request is paid for twice.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Callable, Coroutine, Iterable
from typing import TYPE_CHECKING, Any

from pydantic import Field

from jurist.chat import ChatReply, ChatRequest
from jurist.contracts import BatchChatModel, BatchState
from jurist.engine.budget import Cost
from jurist.engine.callee import Callee, guarded, unexpected
from jurist.engine.ledger import BatchEntry
from jurist.engine.replies import storable, with_usage
from jurist.errors import JuristError, ProviderError
from jurist.options import Options
from jurist.records import Usage

if TYPE_CHECKING:
    from jurist.engine.engine import Engine

Outcomes = dict[str, ChatReply | ProviderError]
"""What came of each call, by its key in the ledger."""

_PATIENCE = 20
"""How often in a row a batch may fail to be looked at before the run ends."""

_FOUND_AGAIN = (
    "run the same command again: it is found again; to give it up, so that all of it is asked and paid for "
    "anew: jurist ledger prune RUN --batches"
)
"""What to do about a batch that cannot be looked at."""


class Batching(Options):
    """How calls are gathered into batches."""

    size: int = Field(
        default=10_000,
        ge=1,
        description="Requests in one batch at most, and calls of this component in flight at most. Memory "
        "grows with it.",
    )
    wait: float = Field(
        default=2.0, gt=0, description="Seconds without a new request after which a batch is handed in."
    )
    poll: float = Field(default=30.0, gt=0, description="Seconds between two looks at a batch.")


class Batches:
    """The batches of one chat model, whatever roles it plays; ``size`` is the most requests in one.

    ``owner`` tells apart the models whose batches are in one ledger. When the engine is stopped, what is
    under way goes on at the provider. Replies are counted in the budget when they are stored: those that an
    earlier process asked for may be awaited by nobody.
    """

    def __init__(
        self, model: BatchChatModel, *, owner: str, callee: Callee, engine: Engine, settings: Batching
    ) -> None:
        self._model = model
        self._owner = owner
        self._callee = callee
        self._label = callee.label
        self._engine = engine
        self._ledger = engine.ledger
        self._events = engine.events
        self._settings = settings
        self.size = min(settings.size, model.batch_size)
        self._awaited: dict[str, asyncio.Future[ChatReply]] = {}
        self._bounds: dict[str, Cost] = {}
        self._gathered: dict[str, ChatRequest] = {}
        self._arrived = 0.0
        self._tasks: set[asyncio.Task[None]] = set()

    async def complete(self, key: str, request: ChatRequest, bound: Cost) -> ChatReply:
        """The reply to ``request``, which the ledger knows as ``key``, from the batch it is or will be in.

        ``bound`` is what it may cost at most.

        Raises:
            ProviderError: the batch was not taken, or this request of it was not answered.
            ContractError: a bug in the model.
            Stopped: the run was stopped.
        """
        if not self._tasks:
            self._begin()
        if key not in self._awaited:
            stored = self._ledger.get(key)
            if stored is not None:  # its batch ended while this call waited for its turn
                return ChatReply.model_validate_json(stored)
            self._expect([key])
            self._gathered[key] = request
            self._arrived = time.monotonic()
            if len(self._gathered) >= self.size:
                self._hand_in()
        self._bounds[key] = bound
        try:
            return await asyncio.shield(self._awaited[key])
        finally:
            self._bounds.pop(key, None)

    async def close(self) -> None:
        """Stop waiting; batches that are under way stay in the ledger for the next time."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._awaited.clear()

    def _begin(self) -> None:
        """Go on with the batches that an earlier process left under way, and gather new ones."""
        self._start(self._end_when_stopped())
        self._start(self._gather())
        for entry in self._ledger.open_batches(self._owner):
            if entry.batch is not None:
                self._events.notice(self._label, f"goes on with batch {entry.batch}")
            self._expect(entry.keys.values())
            self._start(self._see_through(entry, None))

    def _start(self, coroutine: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(coroutine)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _end_when_stopped(self) -> None:
        try:
            await self._engine.stopped()
        except JuristError as reason:
            self._gathered.clear()
            self._fail(list(self._awaited), reason)
            for task in self._tasks - {asyncio.current_task()}:
                task.cancel()

    async def _gather(self) -> None:
        """Hand in what was gathered when nothing has come for a while."""
        while True:
            await asyncio.sleep(max(0.01, self._arrived + self._settings.wait - time.monotonic()))
            if self._gathered and time.monotonic() - self._arrived >= self._settings.wait:
                self._hand_in()

    def _hand_in(self) -> None:
        requests, self._gathered = self._gathered, {}
        try:
            self._start_batch(requests)
        except Exception as error:  # it could not be written down
            self._end(requests, error)

    def _start_batch(self, requests: dict[str, ChatRequest]) -> None:
        name = f"jurist-{uuid.uuid4().hex[:16]}"
        keys = {f"{name}-{number}": key for number, key in enumerate(requests)}
        choices = {i: requests[key].choices for i, key in keys.items() if requests[key].choices}
        entry = BatchEntry(name=name, owner=self._owner, begun=time.time(), keys=keys, choices=choices)
        self._ledger.begin_batch(entry)
        self._start(self._see_through(entry, requests))

    async def _see_through(self, entry: BatchEntry, requests: dict[str, ChatRequest] | None) -> None:
        """Hand a batch in (or find it again), wait for it, and give what came of it to whoever waits."""
        try:
            batch = entry.batch
            if batch is None:
                batch = await (self._found(entry) if requests is None else self._submitted(entry, requests))
                self._ledger.batch_taken(entry.name, batch)
            await self._ended(entry, batch)
            self._keep(entry, await self._patiently(lambda: self._results(entry, batch)))
        except Exception as error:  # whoever waits must be told, whatever it was
            self._end(entry.keys.values(), error)

    def _keep(self, entry: BatchEntry, outcomes: Outcomes) -> None:
        """Store what came of a batch, then give it to whoever waits."""
        self._store(outcomes, ended=entry.name)
        for key, outcome in outcomes.items():
            if isinstance(outcome, ProviderError):
                self._charge(key, outcome)
                self._fail([key], outcome)
            elif (future := self._awaited.pop(key, None)) is not None:
                future.set_result(outcome)

    def _store(self, outcomes: Outcomes, ended: str | None = None) -> None:
        """Store the replies and count them; strike the batch of the name ``ended`` off with that.

        In ``outcomes`` they are as they were stored.
        """
        stored: dict[str, tuple[str, Usage]] = {}
        for key, outcome in outcomes.items():
            if isinstance(outcome, ChatReply):
                bound = self._bounds.get(key, Cost())
                usage = self._engine.bills.checked(self._label, outcome.usage, bound)
                reply, text = storable(with_usage(outcome, usage), ChatReply.model_validate_json)
                outcomes[key] = reply
                stored[key] = text, usage
        new = [usage for key, (_, usage) in stored.items() if self._ledger.get(key) is None]
        if ended is None:
            self._ledger.put_all([(key, self._label, text, usage) for key, (text, usage) in stored.items()])
        else:
            self._ledger.end_batch(ended, self._label, stored)
        for usage in new:
            self._engine.budget.count(self._label, usage)

    def _charge(self, key: str, error: ProviderError) -> None:
        """Count what a failed request cost, if nobody waits for it who would."""
        if error.usage is None or key in self._bounds:
            return
        usage = self._engine.bills.checked(self._label, error.usage, Cost())
        error.usage = None  # who asks for it later has nothing to count
        self._ledger.log_failure(key, self._label, str(error), usage)
        self._engine.budget.count(self._label, usage)

    async def _submitted(self, entry: BatchEntry, requests: dict[str, ChatRequest]) -> str:
        """The provider's id of a batch that is handed in now."""
        try:
            asked = {i: requests[key] for i, key in entry.keys.items()}
            batch = await guarded(lambda: self._model.submit(entry.name, asked), self._callee)
        except ProviderError as error:
            if error.retryable and not error.rate_limited:  # a broken connection may have carried it over
                await asyncio.sleep(self._settings.poll)
                return await self._found(entry, error)
            self._ledger.drop_batch(entry.name)
            raise error if error.retryable else self._ending("could not be handed in", error) from error
        self._events.notice(self._label, f"handed in batch {batch} of {len(requests):,} requests")
        return batch

    async def _found(self, entry: BatchEntry, error: ProviderError | None = None) -> str:
        """The provider's id of a batch of which it is not known whether it was taken."""
        self._events.notice(self._label, f"looks for a batch of {len(entry.keys):,} requests at the provider")
        ids = list(entry.keys)
        batch: str | None = await self._patiently(lambda: self._model.find(entry.name, ids, entry.begun))
        if batch is None:
            self._ledger.drop_batch(entry.name)
            what = f"A batch of '{self._label}' was not handed in."
            raise error or ProviderError(what, retryable=True)
        return batch

    async def _ended(self, entry: BatchEntry, batch: str) -> None:
        """Wait for the batch to end, and tell how far it is whenever that changes."""
        shown = -1
        while True:
            state: BatchState = await self._patiently(lambda: self._model.state(batch))
            if state.failure:
                self._ledger.drop_batch(entry.name)
                hint = "mend the cause and run the same command again: its requests are handed in anew"
                raise self._ending(f"came to nothing ({batch})", state.failure, hint)
            if state.done != shown:
                shown = state.done
                self._events.notice(self._label, f"batch {batch}: {state.done:,} of {state.total:,} done")
            if state.ended:
                return
            await asyncio.sleep(self._settings.poll)

    async def _results(self, entry: BatchEntry, batch: str) -> Outcomes:
        """What came of each call of a batch. What was received before an error is stored all the same."""
        silence = ProviderError(f"'{self._label}' got no answer in batch {batch}.", retryable=True)
        outcomes: Outcomes = dict.fromkeys(entry.keys.values(), silence)
        stranger = None
        try:
            async for request_id, outcome in self._model.results(batch, entry.choices):
                if request_id in entry.keys:
                    outcomes[entry.keys[request_id]] = outcome
                else:
                    stranger = request_id
            missing = sum(outcome is silence for outcome in outcomes.values())
            if stranger is not None and missing:  # the answer to one of ours may go by that name
                what = f"batch {batch} answers '{stranger}', which was not asked, and not {missing:,} of ours"
                raise ProviderError(what, retryable=True)
        except Exception:
            self._store(outcomes)
            raise
        return outcomes

    async def _patiently(self, ask: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        """What ``ask`` gives, asked again while its failures may pass; the batch goes on meanwhile.

        Raises:
            ProviderError: fatal, and the batch stays: asking for its calls again would pay for them twice.
            ContractError: a bug in the model; the batch stays too.
        """
        failures = 0
        while True:
            try:
                return await guarded(ask, self._callee)
            except ProviderError as error:
                failures += 1
                if not error.retryable or failures == _PATIENCE:
                    raise self._ending(
                        "cannot be looked at; it stays with the provider", error, _FOUND_AGAIN
                    ) from error
                await asyncio.sleep(error.retry_after or self._settings.poll)

    def _ending(self, what: str, cause: str | ProviderError, hint: str | None = None) -> ProviderError:
        """The error that ends the run: what befalls a whole batch is no failure of single items."""
        hints = [hint, cause.hint if isinstance(cause, ProviderError) else None]
        told = cause.cause or cause.what if isinstance(cause, ProviderError) else cause
        return ProviderError(
            f"A batch of '{self._label}' {what}.",
            fatal=True,
            provided_by=cause.provided_by if isinstance(cause, ProviderError) else None,
            cause=told,
            hint="; ".join(filter(None, hints)) or None,
        )

    def _expect(self, keys: Iterable[str]) -> None:
        for key in keys:
            self._awaited.setdefault(key, asyncio.get_running_loop().create_future())

    def _end(self, keys: Iterable[str], error: Exception) -> None:
        """Tell whoever waits; what no call can be blamed for ends the run, also when nobody waits."""
        fault = error if isinstance(error, JuristError) else unexpected(error, self._callee)
        self._fail(keys, fault)
        if not isinstance(fault, ProviderError):
            self._engine.stop(fault)

    def _fail(self, keys: Iterable[str], error: BaseException) -> None:
        """Tell whoever waits, or will; only calls that may be asked again are forgotten."""
        again = isinstance(error, ProviderError) and error.retryable
        for key in list(keys):
            future = self._awaited.pop(key, None) if again else self._awaited.get(key)
            if future is not None and not future.done():
                future.set_exception(error)
                future.exception()  # there may be nobody who waits for it
