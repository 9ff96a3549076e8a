from __future__ import annotations

import asyncio
import json
import math
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jurist.chat import ChatReply
from jurist.engine.budget import Budget, Cost
from jurist.engine.callee import Callee, Returned
from jurist.engine.engine import SILENCE, Engine
from jurist.engine.ledger import Ledger
from jurist.engine.limits import Limits
from jurist.engine.retry import Backoff
from jurist.errors import BudgetStop, ContractError, Interrupted, JuristError, ProviderError, UsageError
from jurist.events import Events
from jurist.records import Failure, Usage

COST = Usage(prompt_tokens=3, completion_tokens=2, usd=0.01, seconds=0.1)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        yield ledger


class Caller:
    """Makes calls through an engine and keeps count of what reaches the provider."""

    def __init__(self, engine: Engine, **limits: Any) -> None:
        self.engine = engine
        self.callee = Callee("model", "lab 1.0 (lab:Model)", engine.limiter(Limits(**limits)))
        self.made: list[int] = []
        self.running = self.most = 0

    async def provider(self, number: int) -> ChatReply:
        await asyncio.sleep(0.001)
        return ChatReply(text=f"reply {number}", usage=COST)

    async def __call__(self, number: int) -> str:
        async def perform() -> ChatReply:
            self.made.append(number)
            self.running += 1
            self.most = max(self.most, self.running)
            try:
                return await self.provider(number)
            finally:
                self.running -= 1

        reply = await self.engine.call(
            str(number), perform, callee=self.callee, read=ChatReply.model_validate_json
        )
        return reply.text


def caller(ledger: Ledger, provider: Callable[[int], Any] | None = None, **settings: Any) -> Caller:
    own = {name: settings.pop(name) for name in ("budget", "window", "events") if name in settings}
    result = Caller(Engine(ledger, backoff=Backoff(first=0.001), **own), **settings)
    if provider is not None:
        result.provider = provider  # type: ignore[method-assign]
    return result


async def collect(stream: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in stream]


async def collect_until(stream: AsyncIterator[Any], error: type[Exception]) -> tuple[list[Any], Exception]:
    """The results that came before the stream raised ``error``, and the error."""
    results = []
    try:
        async for result in stream:
            results.append(result)
    except error as caught:
        return results, caught
    pytest.fail(f"the stream ended without {error.__name__}")


# --- calls ---------------------------------------------------------------------------------------


async def test_a_call_is_made_once_and_then_replayed(ledger):
    first, second = caller(ledger), caller(ledger)
    assert [await first(1), await first(1), await second(1)] == ["reply 1"] * 3
    assert (first.made, second.made) == ([1], [])
    assert ledger.totals() == COST


async def test_a_reply_is_stored_before_anyone_sees_it(ledger):
    seen = []

    class Events:
        def call(self, component: str, usage: Usage, replayed: bool) -> None:
            seen.append((component, replayed, ledger.get("1") is not None))

    call = caller(ledger, events=Events())
    await call(1)
    await call(1)
    assert seen == [("model", False, True), ("model", True, True)]


async def test_equal_calls_in_flight_are_one(ledger):
    call = caller(ledger)
    assert await asyncio.gather(*(call(7) for _ in range(20))) == ["reply 7"] * 20
    assert call.made == [7]


async def test_a_caller_that_goes_away_does_not_take_the_call_from_others(ledger):
    call = caller(ledger)
    first, second = asyncio.create_task(call(7)), asyncio.create_task(call(7))
    await asyncio.sleep(0)
    first.cancel()
    assert await second == "reply 7"
    third = asyncio.create_task(call(8))
    while 8 not in call.made:
        await asyncio.sleep(0)
    third.cancel()
    await call.engine.drain()
    assert ledger.get("8") is not None
    assert call.made == [7, 8]


async def test_the_concurrency_limit_holds_and_is_used(ledger):
    call = caller(ledger, concurrency=5)
    assert len(await collect(call.engine.map(call, range(100)))) == 100
    assert call.most == 5


async def test_retries_until_it_succeeds_and_logs_each_failure(ledger):
    async def provider(number: int) -> ChatReply:
        if len(call.made) < 4:
            raise ProviderError(f"503 number {len(call.made)}", retryable=True)
        return ChatReply(text="at last")

    call = caller(ledger, provider)
    assert await call(1) == "at last"
    assert call.made == [1] * 4
    assert [error.splitlines()[0] for _, error in ledger.failures()] == [f"503 number {n}" for n in (1, 2, 3)]


async def test_gives_up_after_the_allowed_attempts_and_asks_again_next_time(ledger):
    async def provider(number: int) -> ChatReply:
        raise ProviderError("503", retryable=True)

    call = caller(ledger, provider, attempts=3)
    with pytest.raises(ProviderError, match="503") as caught:
        await call(1)
    assert call.made == [1] * 3
    assert caught.value.provided_by == "lab 1.0 (lab:Model)"
    again = caller(ledger)
    assert await again(1) == "reply 1"  # a failure is never an answer


async def test_calls_given_up_although_a_retry_could_help_are_counted(ledger):
    async def provider(number: int) -> ChatReply:
        await asyncio.sleep(0.001)
        raise ProviderError("503" if number < 3 else "400", retryable=number < 3)

    call = caller(ledger, provider, attempts=2)
    for number in (0, 1, 1, 3):  # the second 1 is a call of its own
        with pytest.raises(ProviderError):
            await call(number)
    assert call.engine.given_up == 3
    joined = await asyncio.gather(call(2), call(2), return_exceptions=True)
    assert [str(error).splitlines()[0] for error in joined] == ["503", "503"]
    assert call.engine.given_up == 4

    again = caller(ledger)
    assert [await again(number) for number in (0, 0, 3)] == ["reply 0", "reply 0", "reply 3"]
    assert again.engine.given_up == 0


@pytest.mark.parametrize("answers_first", [False, True])
async def test_a_component_that_never_answers_stops_the_run(ledger, answers_first):
    async def provider(number: int) -> ChatReply:
        if answers_first and number == 0:
            return ChatReply(text="once")
        raise ProviderError("connection refused", retryable=True)

    call = caller(ledger, provider, attempts=2)

    async def outcome(number: int) -> str:
        try:
            return await call(number)
        except ProviderError as error:
            if error.fatal:
                raise
            return "failure"

    if answers_first:
        results = await collect(call.engine.map(outcome, range(3 * SILENCE)))
        assert results == ["once"] + ["failure"] * (3 * SILENCE - 1)
        return
    with pytest.raises(ProviderError, match=f"none of {SILENCE} calls, each tried 2 times") as caught:
        await collect(call.engine.map(outcome, range(10_000)))
    assert "connection refused" in str(caught.value)
    assert caught.value.provided_by == "lab 1.0 (lab:Model)"
    assert len(set(call.made)) < 1000


async def test_a_call_that_succeeds_in_the_end_or_that_nobody_waits_for_is_not_given_up(ledger):
    async def provider(number: int) -> ChatReply:
        await asyncio.sleep(0.005)
        if number == 2 or len(call.made) == 1:
            raise ProviderError("503", retryable=True)
        return ChatReply(text="at last")

    call = caller(ledger, provider, attempts=2)
    assert await call(1) == "at last"
    dropped = asyncio.create_task(call(2))
    while call.made.count(2) < 2:  # its last attempt
        await asyncio.sleep(0)
    dropped.cancel()
    await call.engine.drain()
    assert (call.made, call.engine.given_up) == ([1, 1, 2, 2], 0)


async def test_a_fatal_error_and_what_it_keeps_from_beginning_are_not_given_up(ledger):
    async def provider(number: int) -> ChatReply:
        raise ProviderError("401", retryable=True, fatal=True)

    call = caller(ledger, provider, concurrency=1)
    await collect_until(call.engine.map(call, range(9)), ProviderError)
    assert call.engine.given_up == 0


async def test_what_cannot_succeed_is_not_tried_again(ledger):
    async def provider(number: int) -> ChatReply:
        raise ProviderError("400 bad request")

    call = caller(ledger, provider)
    with pytest.raises(ProviderError, match="400"):
        await call(1)
    assert call.made == [1]


async def test_retry_after_is_obeyed_and_others_go_first_meanwhile(ledger):
    times: list[tuple[int, float]] = []

    async def provider(number: int) -> ChatReply:
        times.append((number, time.monotonic()))
        if number == 0 and call.made.count(0) == 1:
            raise ProviderError("503", retryable=True)
        return ChatReply(text=str(number))

    call = caller(ledger, provider, concurrency=1)
    call.engine._backoff = Backoff(first=0.0)
    assert await collect(call.engine.map(call, range(3))) == ["0", "1", "2"]
    assert [number for number, _ in times] == [0, 1, 2, 0]  # the slot was free during the wait


async def test_nothing_is_asked_before_retry_after_is_over(ledger):
    times: list[float] = []

    async def provider(number: int) -> ChatReply:
        times.append(time.monotonic())
        if len(times) == 1:
            raise ProviderError("429", retryable=True, retry_after=0.1)
        return ChatReply(text=str(number))

    call = caller(ledger, provider, concurrency=1)
    assert await collect(call.engine.map(call, range(4))) == ["0", "1", "2", "3"]
    assert len(times) == 5
    assert times[1] - times[0] >= 0.1


async def test_a_rate_limit_halves_the_concurrency(ledger):
    async def provider(number: int) -> ChatReply:
        await asyncio.sleep(0.001)
        if call.running > 4:
            raise ProviderError("429", retryable=True, rate_limited=True)
        return ChatReply(text=str(number))

    call = caller(ledger, provider, concurrency=16, attempts=50)
    assert await collect(call.engine.map(call, range(300))) == [str(n) for n in range(300)]
    assert call.callee.limiter.concurrency <= 8
    assert len(call.made) < 420  # without adapting, most of the calls would be refused again and again


async def test_after_a_rate_limit_the_concurrency_creeps_back(ledger):
    async def provider(number: int) -> ChatReply:
        if len(call.made) == 1:
            raise ProviderError("429", retryable=True, rate_limited=True)
        widths.append(call.callee.limiter.concurrency)
        return ChatReply(text=str(number))

    widths: list[int] = []
    call = caller(ledger, provider, concurrency=8)
    await collect(call.engine.map(call, range(100)))
    assert (widths[0], widths[-1]) == (4, 8)
    assert widths == sorted(widths)


async def test_a_time_out_is_retried(ledger):
    async def provider(number: int) -> ChatReply:
        await asyncio.sleep(10 if len(call.made) == 1 else 0)
        return ChatReply(text="quick")

    call = caller(ledger, provider, timeout=0.02)
    assert await call(1) == "quick"
    assert "timed out (limits.timeout is 0.02 s)" in ledger.failures()[0][1]


async def test_a_bug_in_a_component_ends_the_run_and_names_the_component(ledger):
    async def provider(number: int) -> ChatReply:
        if number == 5:
            raise ZeroDivisionError("oh no")
        return ChatReply(text=str(number))

    call = caller(ledger, provider)
    results, error = await collect_until(call.engine.map(call, range(1000), window=8), ContractError)
    assert results == ["0", "1", "2", "3", "4"]
    for part in ("'model'", "lab 1.0 (lab:Model)", "ZeroDivisionError: oh no (test_engine.py, line"):
        assert part in str(error)
    assert len(call.made) < 100
    assert all(ledger.get(str(number)) for number in call.made if number != 5)


async def test_an_unexpected_error_in_the_engine_ends_the_run_and_the_reply_is_kept(ledger):
    class Broken(Events):
        def call(self, component: str, usage: Usage, replayed: bool) -> None:
            raise KeyError("an observer")

    call = caller(ledger, events=Broken())
    _, error = await collect_until(call.engine.map(call, range(10)), JuristError)
    assert "A call of 'model' ended in an unexpected error" in str(error)
    assert "KeyError: 'an observer' (test_engine.py" in str(error)
    assert isinstance(error.__cause__, KeyError)
    assert all(ledger.get(str(number)) for number in call.made)


async def test_a_reply_that_cannot_be_read_back_says_so(ledger):
    ledger.put("1", "model", '{"from": "the future"}', Usage())
    with pytest.raises(UsageError, match="cannot read"):
        await caller(ledger)(1)


async def test_the_time_a_call_took_is_measured_when_the_component_does_not(ledger):
    async def provider(number: int) -> ChatReply:
        await asyncio.sleep(0.02)
        return ChatReply(text="x", usage=Usage(usd=1))

    await caller(ledger, provider)(1)
    assert 0.02 <= ledger.totals().seconds < 1
    assert ledger.totals().usd == 1


async def test_one_bad_item_never_fails_its_neighbours(ledger):
    async def provider(number: int) -> ChatReply:
        if number % 3 == 0:
            raise ProviderError(f"no {number}")
        return ChatReply(text=str(number))

    call = caller(ledger, provider)

    async def item(number: int) -> str:
        try:
            return await call(number)
        except ProviderError as error:
            return f"failed: {error.what}"

    results = await collect(call.engine.map(item, range(60)))
    assert results == [f"failed: no {n}" if n % 3 == 0 else str(n) for n in range(60)]


async def test_what_nobody_waits_for_any_more_is_not_asked(ledger):
    call = caller(ledger, concurrency=2)
    calls = [asyncio.create_task(call(number)) for number in range(10)]
    while not call.made:
        await asyncio.sleep(0)
    for waiting in calls:
        waiting.cancel()
    await call.engine.drain()
    assert call.made == [0, 1]
    assert await call(5) == "reply 5"  # and can be asked later


async def test_a_call_nobody_waits_for_is_not_retried(ledger):
    async def provider(number: int) -> ChatReply:
        await asyncio.sleep(0.005)
        raise ProviderError("503", retryable=True)

    call = caller(ledger, provider)
    waiting = asyncio.create_task(call(1))
    while not call.made:
        await asyncio.sleep(0)
    waiting.cancel()
    await asyncio.wait_for(call.engine.drain(), 5)
    assert call.made == [1]
    assert len(ledger.failures()) == 1


async def test_who_comes_while_a_dropped_call_is_ending_gets_an_answer(ledger):
    call = caller(ledger, concurrency=1)
    first, dropped = asyncio.create_task(call(1)), asyncio.create_task(call(2))
    while not call.made:
        await asyncio.sleep(0)
    dropped.cancel()
    await asyncio.sleep(0)
    assert dropped.done()
    assert await call(2) == "reply 2"
    assert await first == "reply 1"


async def test_a_full_disk_ends_the_run_and_no_more_is_paid_for(ledger):
    call = caller(ledger, concurrency=4)
    ledger._connection.execute("PRAGMA max_page_count = 10")

    async def provider(number: int) -> ChatReply:
        await asyncio.sleep(0.001)
        return ChatReply(text="x" * 1000 * number)

    call.provider = provider  # type: ignore[method-assign]
    _, error = await collect_until(call.engine.map(call, range(500)), UsageError)
    assert "disk is full" in str(error)
    kept = [number for number in call.made if ledger.get(str(number))]
    assert len(call.made) - len(kept) <= 4  # what was in flight when it happened


# --- streams -------------------------------------------------------------------------------------


async def test_results_come_in_the_order_of_the_items(ledger):
    async def backwards(number: int) -> int:
        await asyncio.sleep(0.0005 * (20 - number % 20))
        return number

    assert await collect(Engine(ledger).map(backwards, range(100), window=20)) == list(range(100))


@pytest.mark.parametrize("slow", [False, True])
async def test_the_window_bounds_what_is_taken_from_a_long_source(ledger, slow, monkeypatch):
    monkeypatch.setattr("jurist.engine.stream._ROOM", 0)  # half of the window is left
    taken = given = most = running = most_running = 0

    def source() -> Iterator[int]:
        nonlocal taken, most
        for number in range(2_000 if slow else 100_000):
            taken += 1
            most = max(most, taken - given)
            yield number

    async def work(number: int) -> int:
        nonlocal running, most_running
        running += 1
        most_running = max(most_running, running)
        if slow:
            await asyncio.sleep(0.001 * (number % 3))
        running -= 1
        return number

    async for number in Engine(ledger).map(work, source(), window=32):
        assert number == given
        given += 1
    assert given == taken
    assert most <= 32 + 16 + 1
    assert most_running <= 33


async def test_an_item_that_takes_long_does_not_keep_later_ones_waiting(ledger):
    done: list[int] = []

    async def work(number: int) -> int:
        while number == 0 and len(done) < 99:
            await asyncio.sleep(0)
        done.append(number)
        return number

    assert await collect(Engine(ledger).map(work, range(100), window=4)) == list(range(100))
    assert done == [*range(1, 100), 0]


async def test_a_slow_source_does_not_hold_back_results(ledger):
    async def source() -> AsyncIterator[int]:
        yield 1
        await asyncio.sleep(30)
        yield 2

    async def work(number: int) -> int:
        return number

    stream = Engine(ledger).map(work, source())
    assert await asyncio.wait_for(anext(stream), 5) == 1
    await stream.aclose()


async def test_streams_feed_streams_item_by_item(ledger):
    call = caller(ledger)
    log: list[str] = []

    async def second(text: str) -> str:
        log.append(f"second {text}")
        return text.upper()

    async def first(number: int) -> str:
        log.append(f"first {number}")
        return await call(number)

    engine = call.engine
    results = await collect(engine.map(second, engine.map(first, range(50), window=4), window=4))
    assert results == [f"REPLY {n}" for n in range(50)]
    assert log.index("second reply 0") < log.index("first 20")  # no stage waits for a whole batch


async def test_an_error_in_the_source_comes_after_what_it_gave(ledger):
    def source() -> Iterator[int]:
        yield from range(3)
        raise OSError("line 4")

    call = caller(ledger)
    results, error = await collect_until(call.engine.map(call, source()), OSError)
    assert results == ["reply 0", "reply 1", "reply 2"]
    assert str(error) == "line 4"


async def test_a_bug_in_a_stage_is_raised_and_calls_in_flight_are_kept(ledger):
    async def provider(number: int) -> ChatReply:
        await asyncio.sleep(0.05 if number > 5 else 0)
        return ChatReply(text=f"reply {number}")

    call = caller(ledger, provider, concurrency=8)

    async def item(number: int) -> str:
        if number == 5:
            raise KeyError("stage bug")
        return await call(number)

    results, _ = await collect_until(call.engine.map(item, range(1000), window=8), KeyError)
    assert results == [f"reply {n}" for n in range(5)]
    assert call.running == 0
    assert 6 in call.made
    assert all(ledger.get(str(number)) for number in call.made)


# --- stopping ------------------------------------------------------------------------------------


async def test_stop_feeds_nothing_more_and_keeps_what_is_in_flight(ledger):
    async def provider(number: int) -> ChatReply:
        if number == 20:
            call.engine.stop(Interrupted("stopped by you"))
        await asyncio.sleep(0.002 * (1 + number % 3))
        return ChatReply(text=f"reply {number}")

    call = caller(ledger, provider, concurrency=4)
    results, error = await collect_until(call.engine.map(call, range(1000), window=50), Interrupted)
    assert str(error) == "stopped by you"
    assert results == [f"reply {n}" for n in range(len(results))]
    assert max(call.made) <= 20
    assert call.running == 0
    assert all(ledger.get(str(number)) for number in call.made)
    assert len(results) == len(call.made) == 21

    again = caller(ledger)
    assert len(await collect(again.engine.map(again, range(30)))) == 30
    assert again.made == list(range(21, 30))


async def test_after_a_stop_no_item_begins_even_if_it_makes_no_calls(ledger):
    engine, begun = Engine(ledger), []

    async def item(number: int) -> int:
        begun.append(number)
        if number == 5:
            engine.stop(Interrupted("enough"))
        await asyncio.sleep(0.001)
        return number

    results, _ = await collect_until(engine.map(item, range(100), window=2), Interrupted)
    assert begun == results == list(range(6))


async def test_stop_ends_the_wait_before_a_retry(ledger):
    async def provider(number: int) -> ChatReply:
        asyncio.get_running_loop().call_later(0.02, call.engine.stop, Interrupted("enough"))
        raise ProviderError("429", retryable=True, retry_after=3600)

    call = caller(ledger, provider)
    await asyncio.wait_for(collect_until(call.engine.map(call, range(40)), Interrupted), 5)


async def test_stop_reaches_streams_of_streams(ledger):
    call = caller(ledger, concurrency=4)

    async def second(text: str) -> str:
        if text == "reply 9":
            call.engine.stop(Interrupted("enough"))
        return await call(int(text.split()[1]) + 1000)

    engine = call.engine
    stream = engine.map(second, engine.map(call, range(500), window=8), window=8)
    results, _ = await asyncio.wait_for(collect_until(stream, Interrupted), 5)
    assert results == [f"reply {n + 1000}" for n in range(len(results))]
    assert len(call.made) < 60
    assert all(ledger.get(str(number)) for number in call.made)


async def test_a_fatal_error_stops_the_run_even_when_a_role_makes_it_a_failure(ledger):
    async def provider(number: int) -> ChatReply:
        await asyncio.sleep(0.001)
        if number == 10:
            raise ProviderError("401 wrong key", fatal=True)
        return ChatReply(text=str(number))

    call = caller(ledger, provider, concurrency=2)

    async def role(number: int) -> str:
        try:
            return await call(number)
        except ProviderError:
            return "a failure"

    results, error = await collect_until(call.engine.map(role, range(500)), ProviderError)
    assert "401 wrong key" in str(error)
    assert "a failure" not in results
    assert len(ledger.failures()) == 1  # the calls it kept from beginning have not failed
    assert max(call.made) <= 11


async def test_a_second_interrupt_stops_at_once(ledger):
    async def provider(number: int) -> ChatReply:
        await asyncio.sleep(3600)
        return ChatReply()

    call = caller(ledger, provider)
    run = asyncio.create_task(collect(call.engine.map(call, range(50))))
    await asyncio.sleep(0.01)
    call.engine.stop(Interrupted("once"))
    await asyncio.sleep(0.01)
    assert not run.done()
    run.cancel()
    done, _ = await asyncio.wait([run], timeout=5)
    assert run in done
    assert run.cancelled()


# --- budget --------------------------------------------------------------------------------------


async def test_the_budget_is_never_passed_and_a_higher_cap_continues(ledger):
    call = caller(ledger, budget=Budget(max_usd=0.255), concurrency=8)
    results, error = await collect_until(call.engine.map(call, range(100)), BudgetStop)
    assert len(results) == len(call.made) == 25
    assert ledger.totals().usd == pytest.approx(0.25)
    assert "'model' may cost $0.0100" in str(error)

    same = caller(ledger, budget=Budget(max_usd=0.255), concurrency=8)
    results, _ = await collect_until(same.engine.map(same, range(100)), BudgetStop)
    assert (len(results), same.made) == (25, [])

    higher = caller(ledger, budget=Budget(max_usd=2.0))
    assert len(await collect(higher.engine.map(higher, range(100)))) == 100
    assert sorted(higher.made) == sorted(set(range(100)) - set(call.made))


async def test_a_returned_failure_costs_what_it_says_it_cost(ledger):
    async def provider(number: int) -> ChatReply:
        raise Returned(Failure(error="filtered after the fact", usage=COST, retryable=True))

    call = caller(ledger, provider, budget=Budget(max_usd=0.035), attempts=9)
    with pytest.raises(BudgetStop, match=r"\$0\.0300 of \$0\.035 spent"):
        await call(1)
    assert call.made == [1] * 3
    assert call.engine.budget.spent == Cost(0.03, 15)
    assert ledger.tallies() == {}


async def test_a_call_that_timed_out_may_have_cost_what_was_set_aside_for_it(ledger):
    async def provider(number: int) -> ChatReply:
        await asyncio.sleep(10 if number == 2 else 0)
        return ChatReply(text="quick", usage=COST)

    call = caller(ledger, provider, budget=Budget(max_usd=0.035), timeout=0.02, attempts=9)
    await call(1)
    with pytest.raises(BudgetStop):
        await call(2)
    assert call.made == [1, 2, 2]
    assert call.engine.budget.spent == Cost(0.03, 15)


async def test_a_failed_call_that_was_billed_counts_and_is_kept_for_the_next_run(ledger):
    async def provider(number: int) -> ChatReply:
        raise ProviderError("no answer in it", retryable=True, usage=COST)

    call = caller(ledger, provider, budget=Budget(max_usd=0.035), attempts=9)
    with pytest.raises(BudgetStop, match=r"\$0\.0300 of \$0\.035 spent"):
        await call(1)
    assert (call.made, call.engine.budget.spent) == ([1] * 3, Cost(0.03, 15))

    again = caller(ledger, provider, budget=Budget(max_usd=0.035), attempts=9)
    assert again.engine.budget.spent == Cost(0.03, 15)
    with pytest.raises(BudgetStop):
        await again(1)
    assert len(again.made) == 1  # the first of a run, of which nothing is known


async def test_what_time_outs_were_charged_counts_in_the_next_run(ledger):
    async def provider(number: int) -> ChatReply:
        await asyncio.sleep(10 if number else 0)
        return ChatReply(text="quick", usage=COST)

    for _ in range(3):
        call = caller(ledger, provider, budget=Budget(max_usd=0.035), timeout=0.02, attempts=9)
        await call(0)
        with pytest.raises(BudgetStop):
            await call(1)
    assert call.engine.budget.spent == Cost(0.03, 15)
    assert call.made == []


async def test_a_usage_of_a_failure_that_cannot_be_right_counts_as_what_was_set_aside(ledger):
    async def provider(number: int) -> ChatReply:
        if number:
            raise ProviderError("400", usage=Usage(usd=math.nan, completion_tokens=-5))
        return ChatReply(text="x", usage=COST)

    call = caller(ledger, provider, budget=Budget(max_usd=1))
    await call(0)
    with pytest.raises(ProviderError, match="400"):
        await call(1)
    assert call.engine.budget.spent == Cost(0.02, 10)
    assert ledger.charged() == Usage(usd=0.01, prompt_tokens=5)


@pytest.mark.parametrize(
    "wrong",
    [
        Usage(usd=math.nan),
        Usage(usd=math.inf),
        Usage(usd=-1.0),
        Usage(completion_tokens=-(10**6)),
        Usage(prompt_tokens=2**63, usd=10.0**12),
        Usage(prompt_tokens=2**62, completion_tokens=2**62),
        Usage(seconds=math.nan),
    ],
)
async def test_a_usage_that_cannot_be_right_loses_no_reply_and_loosens_no_cap(ledger, wrong):
    notices: list[tuple[str, str]] = []

    class Watch(Events):
        def notice(self, component: str, text: str) -> None:
            notices.append((component, text))

    async def provider(number: int) -> ChatReply:
        return ChatReply(text=str(number), usage=COST if number % 10 == 0 else wrong)

    call = caller(ledger, provider, budget=Budget(max_usd=0.1, max_tokens=40), events=Watch())
    await call(0)
    results, _ = await collect_until(call.engine.map(call, range(100)), BudgetStop)
    assert results == [str(number) for number in range(len(results))]
    assert all(ledger.get(str(number)) for number in call.made)
    assert call.engine.budget.spent.tokens <= 40
    assert call.engine.budget.spent.usd <= 0.1
    assert [component for component, _ in notices] == ["model"]  # once
    again = Engine(ledger, budget=Budget(max_usd=0.1))
    assert again.budget.spent.usd == pytest.approx(call.engine.budget.spent.usd)
    assert again.budget.spent.tokens == call.engine.budget.spent.tokens


async def test_a_call_that_failed_without_a_reply_costs_nothing(ledger):
    async def provider(number: int) -> ChatReply:
        if len(call.made) in (2, 3):
            raise ProviderError("503", retryable=True)
        return ChatReply(text="x", usage=COST)

    call = caller(ledger, provider, budget=Budget(max_usd=0.025))
    await call(1)
    await call(2)
    assert call.engine.budget.spent == Cost(0.02, 10)


# --- crash ---------------------------------------------------------------------------------------


async def test_fewer_calls_at_once_are_told_in_words_that_fit_any_number(ledger: Ledger) -> None:
    notices: list[tuple[str, str]] = []

    class Told(Events):
        def notice(self, component: str, text: str) -> None:
            notices.append((component, text))

    limiter = Engine(ledger, events=Told()).limiter(Limits(concurrency=2), "model")
    for _ in range(400):
        if not notices:
            async with limiter.slot() as slot:
                slot.refused(0.0)
    assert notices == [("model", "refused too often: at most 1 at once now")]


PROGRAM = textwrap.dedent("""
    import asyncio, json, sys
    from pathlib import Path
    from jurist.chat import ChatReply
    from jurist.engine.callee import Callee
    from jurist.engine.engine import Engine
    from jurist.engine.ledger import Ledger
    from jurist.engine.limits import Limits

    async def main(folder, stall):
        asked = open(folder / "asked", "a", buffering=1)
        with asked, Ledger.open(folder / "ledger.sqlite") as ledger:
            engine = Engine(ledger)
            callee = Callee("model", "lab", engine.limiter(Limits(concurrency=8)))

            async def item(number):
                async def perform():
                    asked.write(f"{number}\\n")
                    hang = stall and number >= 500  # so that it is still at work when it is killed
                    await asyncio.sleep(60 if hang else 0.002 * (number % 5))
                    return ChatReply(text=f"reply {number}")
                reply = await engine.call(
                    str(number), perform, callee=callee, read=ChatReply.model_validate_json
                )
                return reply.text

            count = 0
            async for text in engine.map(item, range(600)):
                assert text == f"reply {count}"
                count += 1
                if stall and count == 200:
                    print("ready", flush=True)
            print(json.dumps(count))

    asyncio.run(main(Path(sys.argv[1]), sys.argv[2] == "stall"))
""")


def test_after_kill_9_only_calls_in_flight_are_repeated(tmp_path):
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    with subprocess.Popen([*command, "stall"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.kill()
    assert process.returncode == -signal.SIGKILL
    before = (tmp_path / "asked").read_text().split()
    assert 200 <= len(before) < 600

    rerun = subprocess.run([*command, "run"], capture_output=True, text=True, timeout=60, check=True)
    assert json.loads(rerun.stdout) == 600
    asked = (tmp_path / "asked").read_text().split()
    assert set(asked) == {str(number) for number in range(600)}
    repeated = len(asked) - 600
    assert 1 <= repeated <= 8  # the concurrency limit


@pytest.mark.parametrize(("concurrency", "least", "most"), [(64, 64, 64), (1000, 500, 1000)])
async def test_the_window_grows_until_a_component_has_all_the_calls_it_may_have(
    ledger, concurrency, least, most
):
    running = widest = 0

    async def provider(number: int) -> ChatReply:
        nonlocal running, widest
        running += 1
        await asyncio.sleep(0.02)
        widest = max(widest, running)
        running -= 1
        return ChatReply(text=str(number))

    call = caller(ledger, provider, concurrency=concurrency)
    await collect(call.engine.map(call, range(8_000), window=64))
    assert least <= widest <= most
