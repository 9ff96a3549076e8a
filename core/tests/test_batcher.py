from __future__ import annotations

import asyncio
import threading
import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jurist.engine.batcher import Batcher
from jurist.errors import ContractError


async def test_concurrent_calls_become_one_batch_in_their_order():
    batches: list[list[int]] = []

    def double(items: list[int]) -> list[int]:
        batches.append(items)
        return [2 * item for item in items]

    batcher = Batcher(double, max_size=8)
    assert await asyncio.gather(*(batcher.submit(n) for n in range(8))) == [2 * n for n in range(8)]
    assert batches == [list(range(8))]
    await batcher.close()


async def test_a_batch_that_does_not_fill_starts_after_max_wait():
    batcher = Batcher(lambda items: items, max_size=1000, max_wait=0.02)
    began = time.monotonic()
    assert await asyncio.wait_for(batcher.submit(1), 5) == 1
    assert time.monotonic() - began >= 0.019
    await batcher.close()


async def test_a_full_batch_does_not_wait():
    batcher = Batcher(lambda items: items, max_size=4, max_wait=60)
    await asyncio.wait_for(asyncio.gather(*(batcher.submit(n) for n in range(4))), 5)
    await batcher.close()


async def test_one_batch_at_a_time_in_one_thread_that_is_not_the_loops():
    threads: set[int] = set()
    running = threading.Lock()

    def work(items: list[int]) -> list[int]:
        assert running.acquire(blocking=False)
        threads.add(threading.get_ident())
        time.sleep(0.001)
        running.release()
        return items

    batcher = Batcher(work, max_size=3, max_wait=0)
    assert await asyncio.gather(*(batcher.submit(n) for n in range(30))) == list(range(30))
    assert len(threads) == 1
    assert threading.get_ident() not in threads
    await batcher.close()


async def test_an_async_function_is_awaited_in_the_loop():
    async def work(items: list[int]) -> list[int]:
        await asyncio.sleep(0)
        assert threading.current_thread() is threading.main_thread()
        return [-item for item in items]

    batcher = Batcher(work, max_size=3)
    assert await asyncio.gather(*(batcher.submit(n) for n in range(7))) == [-n for n in range(7)]
    await batcher.close()


async def test_a_bad_item_fails_alone():
    def work(items: list[int]) -> list[int]:
        if 3 in items:
            raise ValueError("three")
        return items

    batcher = Batcher(work, max_size=8)
    results = await asyncio.gather(*(batcher.submit(n) for n in range(8)), return_exceptions=True)
    assert isinstance(results.pop(3), ValueError)
    assert results == [0, 1, 2, 4, 5, 6, 7]
    await batcher.close()


@pytest.mark.parametrize("wrong", [[], [1], [1, 2, 3, 4]])
async def test_a_wrong_number_of_results_is_never_handed_out(wrong):
    batcher = Batcher(lambda items: wrong, max_size=3)
    results = await asyncio.gather(*(batcher.submit(n) for n in range(3)), return_exceptions=True)
    assert [type(result) for result in results] == [ContractError] * 3
    assert f"{len(wrong)} results for 3 items" in str(results[0])
    await batcher.close()


async def test_stop_iteration_does_not_hang_its_callers():
    def work(items: list[int]) -> list[int]:
        return [next(iter([]))]

    batcher = Batcher(work, max_size=2)
    results = await asyncio.wait_for(
        asyncio.gather(*(batcher.submit(n) for n in range(2)), return_exceptions=True), 5
    )
    assert [type(result) for result in results] == [RuntimeError] * 2
    await batcher.close()


async def test_a_caller_that_went_away_is_not_computed():
    batches: list[list[int]] = []

    def work(items: list[int]) -> list[int]:
        batches.append(items)
        return items

    batcher = Batcher(work, max_size=10, max_wait=0.01)
    calls = [asyncio.create_task(batcher.submit(n)) for n in range(4)]
    await asyncio.sleep(0)
    calls[1].cancel()
    await asyncio.wait(calls)
    assert batches == [[0, 2, 3]]
    await batcher.close()


async def test_close_answers_what_waits_and_refuses_more():
    batcher = Batcher(lambda items: items, max_size=10, max_wait=60)
    call = asyncio.create_task(batcher.submit(5))
    await asyncio.sleep(0.01)
    await asyncio.wait_for(batcher.close(), 5)
    assert await call == 5
    with pytest.raises(RuntimeError, match="closed"):
        await batcher.submit(6)


def test_it_works_in_one_event_loop_after_another():
    batcher = Batcher(lambda items: items, max_size=4)

    async def use(start: int) -> list[int]:
        return await asyncio.gather(*(batcher.submit(start + n) for n in range(6)))

    assert asyncio.run(use(0)) == list(range(6))
    assert asyncio.run(use(10)) == list(range(10, 16))
    asyncio.run(batcher.close())


@settings(deadline=None, max_examples=60)
@given(
    arrivals=st.lists(st.tuples(st.integers(0, 3), st.booleans()), max_size=40),
    max_size=st.integers(1, 9),
    threaded=st.booleans(),
)
def test_rows_never_mix(arrivals, max_size, threaded):
    """Whatever the arrivals, batch sizes and bad items: everyone gets the answer to their own item."""

    def answer(items: list[tuple[int, bool]]) -> list[str]:
        assert 1 <= len(items) <= max_size
        if any(bad for _, bad in items):
            raise ValueError([number for number, bad in items if bad])
        return [f"answer {number}" for number, _ in items]

    async def answer_later(items: list[tuple[int, bool]]) -> list[str]:
        await asyncio.sleep(0)
        return answer(items)

    async def run() -> list[object]:
        batcher = Batcher(answer if threaded else answer_later, max_size=max_size, max_wait=0.0005)

        async def submit(number: int, pauses: int, bad: bool) -> str:
            for _ in range(pauses):
                await asyncio.sleep(0)
            return await batcher.submit((number, bad))

        calls = [submit(number, *arrival) for number, arrival in enumerate(arrivals)]
        results = await asyncio.wait_for(asyncio.gather(*calls, return_exceptions=True), 30)
        await batcher.close()
        return results

    for number, result in enumerate(asyncio.run(run())):
        if arrivals[number][1]:
            assert isinstance(result, ValueError)
            assert result.args == ([number],)
        else:
            assert result == f"answer {number}"
