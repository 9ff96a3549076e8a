from __future__ import annotations

import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jurist.engine.budget import Budget, Cost
from jurist.engine.ledger import Tally
from jurist.errors import BudgetStop
from jurist.money import in_usd
from jurist.records import Usage


def usd(amount: float) -> Usage:
    return Usage(usd=amount)


async def spend(budget: Budget, component: str, usage: Usage) -> None:
    budget.settle(component, await budget.reserve(component), usage)


async def test_without_caps_everything_is_counted_and_nothing_stopped():
    budget = Budget()
    for _ in range(3):
        await spend(budget, "judge", Usage(usd=1e6, prompt_tokens=2, completion_tokens=3))
    assert budget.spent == Cost(3e6, 15)


async def test_it_stops_before_the_cap_would_be_passed():
    budget = Budget(max_usd=1.0)
    for _ in range(3):
        await spend(budget, "judge", usd(0.3))
    with pytest.raises(BudgetStop, match=r"\$0\.9000 of \$1 spent.*'judge'") as caught:
        await budget.reserve("judge")
    assert caught.value.exit_code == 3
    assert budget.spent.usd == pytest.approx(0.9)


async def test_the_cap_may_be_reached_exactly():
    budget = Budget(max_tokens=30)
    for _ in range(3):
        await spend(budget, "judge", Usage(prompt_tokens=4, completion_tokens=6))
    assert budget.spent.tokens == 30
    with pytest.raises(BudgetStop, match="30 of 30 tokens"):
        await budget.reserve("judge")


async def test_the_dearest_call_so_far_is_what_the_next_may_cost():
    budget = Budget(max_usd=1.0)
    for cost in (0.01, 0.45, 0.01, 0.01):
        await spend(budget, "judge", usd(cost))
    await spend(budget, "judge", usd(0.1))
    with pytest.raises(BudgetStop):  # 0.58 + 0.45
        await budget.reserve("judge")
    await spend(budget, "cheap", usd(0.01))


async def test_calls_of_an_unknown_component_wait_for_its_first():
    budget = Budget(max_usd=1.0)
    first = await budget.reserve("judge")
    second = asyncio.create_task(budget.reserve("judge"))
    await asyncio.sleep(0.01)
    assert not second.done()
    budget.settle("judge", first, usd(0.7))
    with pytest.raises(BudgetStop):
        await second


async def test_a_first_call_that_fails_lets_the_next_be_the_first():
    budget = Budget(max_usd=1.0)
    first = await budget.reserve("judge")
    waiting = [asyncio.create_task(budget.reserve("judge")) for _ in range(2)]
    await asyncio.sleep(0)
    budget.settle("judge", first, None)
    await asyncio.sleep(0.01)
    assert [task.done() for task in waiting] == [True, False]
    budget.settle("judge", waiting[0].result(), usd(0.2))
    assert await waiting[1] == Cost(0.2, 0)


async def test_what_was_spent_before_counts():
    budget = Budget(max_usd=1.0)
    budget.begin({"judge": Tally(calls=9, usage=usd(0.9), largest_usd=0.2, largest_tokens=0)})
    with pytest.raises(BudgetStop):
        await budget.reserve("judge")


async def test_what_failed_calls_cost_before_counts_too():
    budget = Budget(max_usd=1.0)
    budget.begin({}, Usage(usd=0.9, prompt_tokens=7))
    assert budget.spent == Cost(0.9, 7)
    with pytest.raises(BudgetStop):
        await budget.reserve("judge", Cost(0.2, 1))


@given(
    costs=st.lists(st.integers(1, 100), min_size=1, max_size=60),
    cap=st.integers(100, 2000),
    workers=st.integers(1, 20),
)
def test_calls_no_dearer_than_the_first_never_pass_the_cap(costs, cap, workers):
    costs = [100, *costs]

    async def run() -> tuple[int, bool]:
        budget = Budget(max_tokens=cap)
        queue = list(reversed(costs))
        stopped = False

        async def work() -> None:
            nonlocal stopped
            while queue and not stopped:
                cost = queue.pop()
                try:
                    reserved = await budget.reserve("judge")
                except BudgetStop:
                    stopped = True
                    return
                await asyncio.sleep(0)
                budget.settle("judge", reserved, Usage(prompt_tokens=cost))

        await asyncio.gather(*(work() for _ in range(workers)))
        return budget.spent.tokens, stopped

    spent, stopped = asyncio.run(run())
    assert spent <= cap
    if stopped:
        assert spent > cap - 100  # it does not give up while there is room for one more
    else:
        assert spent == sum(costs)


async def test_small_amounts_are_told_with_two_digits():
    budget = Budget(max_usd=0.001)
    budget.begin({"judge": Tally(calls=9, usage=usd(0.00099), largest_usd=0.000031, largest_tokens=7)})
    with pytest.raises(BudgetStop) as stopped:
        await budget.reserve("judge")
    said = str(stopped.value)
    assert "$0.00099 of $0.001 spent" in said
    assert "may cost $0.000031 and 7 tokens" in said


@pytest.mark.parametrize(
    ("amount", "text"),
    [(0, "0.00"), (0.05, "0.05"), (0.0034, "0.0034"), (0.000031, "0.000031"), (1234.5, "1,234.50")],
)
def test_money_is_written_without_powers_of_ten(amount, text):
    assert in_usd(amount) == text
