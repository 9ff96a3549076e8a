from __future__ import annotations

import asyncio
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jurist.engine.limits import Bucket, Limiter, Limits
from jurist.engine.retry import Backoff


class Clock:
    """A time that passes only in sleep, for one sleeper after the other."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        until = self.now + seconds
        await asyncio.sleep(0)
        self.now = max(self.now, until)


async def test_no_more_run_at_once_than_allowed_and_all_get_their_turn_in_order():
    limiter = Limiter(Limits(concurrency=3))
    running = most = 0
    order: list[int] = []

    async def call(number: int) -> None:
        nonlocal running, most
        async with limiter.slot() as slot:
            order.append(number)
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.001 * (number % 3))
            running -= 1
            slot.answered(10)

    await asyncio.gather(*(call(number) for number in range(50)))
    assert (most, order) == (3, list(range(50)))


async def test_a_cancelled_waiter_gives_its_slot_on():
    limiter = Limiter(Limits(concurrency=1))
    reached: list[str] = []

    async def call(name: str, seconds: float = 0.0) -> None:
        async with limiter.slot():
            reached.append(name)
            await asyncio.sleep(seconds)

    first = asyncio.create_task(call("first", 0.01))
    await asyncio.sleep(0)
    second, third = asyncio.create_task(call("second")), asyncio.create_task(call("third"))
    await asyncio.sleep(0)
    second.cancel()
    await asyncio.wait_for(asyncio.gather(first, second, third, return_exceptions=True), 5)
    assert reached == ["first", "third"]


async def test_a_slot_given_at_the_moment_of_cancellation_is_not_lost():
    limiter = Limiter(Limits(concurrency=1))

    async def take() -> None:
        async with limiter.slot():
            pass

    async with limiter.slot():
        waiter = asyncio.create_task(take())
        await asyncio.sleep(0)
    waiter.cancel()  # its turn has just come, but it has not run yet
    await asyncio.gather(waiter, return_exceptions=True)
    assert waiter.cancelled()
    await asyncio.wait_for(take(), 5)


async def starts(limits: Limits, tokens: list[int]) -> list[float]:
    """When calls that take so many tokens start, made one after the other as soon as allowed."""
    clock = Clock()
    limiter = Limiter(limits, clock=clock, sleep=clock.sleep)
    times = []
    for amount in tokens:
        async with limiter.slot() as slot:
            times.append(clock.now)
            slot.answered(amount)
    return times


async def test_requests_are_paced_evenly():
    assert await starts(Limits(requests_per_minute=30), [0] * 4) == pytest.approx([0, 2, 4, 6])


async def test_a_burst_is_one_second_of_requests():
    times = await starts(Limits(requests_per_minute=600), [0] * 30)
    assert times[:10] == [0.0] * 10
    assert times[10:] == pytest.approx([0.1 * n for n in range(1, 21)])


async def test_tokens_are_paced_by_what_calls_turn_out_to_take():
    tokens = [500, 0, 900, 10, 2000, 100, 700]
    times = await starts(Limits(tokens_per_minute=6000), tokens)
    # 100 per second, after a first second's worth: a call starts once those before it are paid for.
    assert times == pytest.approx([max(0, (sum(tokens[:n]) - 100) / 100) for n in range(7)])


@given(
    per_minute=st.integers(1, 10_000),
    gaps=st.lists(st.floats(0, 5), min_size=1, max_size=100),
)
def test_in_no_stretch_of_time_does_a_bucket_give_more_than_its_rate_and_burst(per_minute, gaps):
    now, rate = 0.0, per_minute / 60
    burst = max(0.0, rate - 1)
    bucket = Bucket(per_minute, burst, lambda: now)
    used = []
    for gap in gaps:
        now += gap
        used.append(now + bucket.take(1))
    for first in range(len(used)):
        for last in range(first, len(used)):
            assert last - first + 1 <= (used[last] - used[first]) * rate + burst + 1 + 1e-6


async def test_a_refusal_halves_once_per_round_and_answers_widen_again():
    clock = Clock()
    limiter = Limiter(Limits(concurrency=16), clock=clock, sleep=clock.sleep)
    for _ in range(5):
        limiter.refused(started=0.0, retry_after=None)  # five calls of the same round
    assert limiter.concurrency == 8
    clock.now = 1.0
    limiter.refused(started=0.5, retry_after=None)
    assert limiter.concurrency == 4
    grown = []
    for _ in range(200):
        limiter.answered(0, 0)
        grown.append(limiter.concurrency)
    assert grown == sorted(grown)
    assert grown[2] == 4
    assert grown[4] == 5
    assert grown[-1] == 16
    for second in range(2, 12):
        clock.now = float(second)
        limiter.refused(started=clock.now - 0.1, retry_after=None)
    assert limiter.concurrency == 1


async def test_a_call_that_is_refused_now_and_then_slows_nobody_down():
    clock = Clock()
    limiter = Limiter(Limits(concurrency=64), clock=clock, sleep=clock.sleep)
    draw = random.Random(0)
    waited = clock.now
    for _ in range(5_000):
        async with limiter.slot() as slot:
            if draw.random() < 0.05:
                slot.refused(20.0)
            else:
                slot.answered(1)
    assert limiter.concurrency == 64
    assert clock.now == waited


async def test_calls_that_are_often_refused_pause_and_become_fewer():
    clock = Clock()
    told: list[tuple[int, float]] = []
    limiter = Limiter(
        Limits(concurrency=64),
        clock=clock,
        sleep=clock.sleep,
        narrowed=lambda concurrency, pause: told.append((concurrency, pause)),
    )
    for number in range(400):
        async with limiter.slot() as slot:
            clock.now += 0.001
            if number % 4 == 0:
                slot.refused(1.0)
            else:
                slot.answered(1)
    assert limiter.concurrency < 64
    assert clock.now > 1.4
    assert told[0] == (32, pytest.approx(1.0))


async def test_nothing_starts_before_the_provider_allows():
    clock = Clock()
    limiter = Limiter(Limits(concurrency=4), clock=clock, sleep=clock.sleep)
    async with limiter.slot() as slot:
        slot.refused(20.0)
    async with limiter.slot():
        assert clock.now == 20.0


async def test_after_a_pause_no_more_start_than_the_halved_limit():
    limiter = Limiter(Limits(concurrency=8))
    running = most = 0

    async def call() -> None:
        nonlocal running, most
        async with limiter.slot():
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.001)
            running -= 1

    async with limiter.slot() as slot:
        slot.refused(0.02)
    await asyncio.gather(*(call() for _ in range(40)))
    assert most == 4


def test_backoff_grows_with_full_jitter_and_is_bounded():
    backoff = Backoff(first=0.5, longest=60, random=random.Random(0))
    for failures, most in ((1, 0.5), (2, 1.0), (3, 2.0), (5, 8.0), (8, 60.0), (1000, 60.0)):
        delays = [backoff.delay(failures) for _ in range(2000)]
        assert 0 <= min(delays) < 0.01 * most
        assert 0.99 * most < max(delays) <= most
        assert sum(delays) / 2000 == pytest.approx(most / 2, rel=0.05)


def test_backoff_never_comes_back_sooner_than_asked():
    backoff = Backoff(random=random.Random(0))
    delays = [backoff.delay(4, retry_after=7.0) for _ in range(500)]
    assert min(delays) >= 7.0
    assert max(delays) <= 7.5
    assert len(set(delays)) > 1
