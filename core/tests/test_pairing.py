"""Pairings, held against every order that the responses can have."""

from __future__ import annotations

import asyncio
import math
import random
from collections.abc import Callable
from itertools import permutations

import pytest

from jurist.stages.pairing import PAIRINGS, Pairs, adjacent, all_pairs, ranked

Verdict = Callable[[int, int], bool | None]
ORDERS = [order for count in range(7) for order in permutations(range(count))]
"""Place of each response by its number, 0 the best."""


class Bench:
    """Answers comparisons by a function and keeps them, in the order in which they were begun."""

    def __init__(self, verdict: Verdict) -> None:
        self.made: Pairs = []
        self.verdict = verdict
        self.at_once = self.most_at_once = 0

    async def compare(self, first: int, second: int) -> bool | None:
        self.made.append((first, second))
        self.at_once += 1
        self.most_at_once = max(self.at_once, self.most_at_once)
        await asyncio.sleep(0)
        self.at_once -= 1
        return self.verdict(first, second)

    def no_pair_twice(self) -> bool:
        return len({frozenset(pair) for pair in self.made}) == len(self.made)


async def pair(name: str, count: int, verdict: Verdict) -> tuple[Bench, int | None]:
    bench = Bench(verdict)
    return bench, await PAIRINGS[name].pair(count, bench.compare)


def by_place(order: tuple[int, ...]) -> Verdict:
    return lambda first, second: order[second] < order[first]


@pytest.mark.parametrize("count", range(7))
def test_all_pairs_are_each_unordered_pair_once(count: int) -> None:
    pairs = all_pairs(count)
    assert len(pairs) == count * (count - 1) // 2
    assert {frozenset(pair) for pair in pairs} == {
        frozenset((a, b)) for a in range(count) for b in range(count) if a != b
    }


def test_adjacent_pairs_link_each_response_to_the_next() -> None:
    assert adjacent(4) == [(0, 1), (1, 2), (2, 3)]
    assert adjacent(1) == []
    assert adjacent(0) == []


@pytest.mark.parametrize(("name", "pairs"), [("all", all_pairs), ("adjacent", adjacent)])
@pytest.mark.parametrize("count", range(7))
async def test_fixed_pairings_make_all_their_comparisons_at_once(
    name: str, pairs: Callable[[int], Pairs], count: int
) -> None:
    bench, best = await pair(name, count, lambda *_: None)
    assert (bench.made, best) == (pairs(count), None)
    assert PAIRINGS[name].most(count) == bench.most_at_once == len(bench.made)
    assert not PAIRINGS[name].adaptive


async def test_a_tournament_ranks_every_order_exactly_with_at_most_so_many_comparisons() -> None:
    most = dict.fromkeys(range(7), 0)
    for order in ORDERS:
        bench = Bench(by_place(order))
        ranking = await ranked(range(len(order)), bench.compare)
        assert [order[number] for number in ranking] == list(range(len(order)))
        assert bench.no_pair_twice()
        most[len(order)] = max(most[len(order)], len(bench.made))
    # Merge sort's, for K = 0 … 6; never more than K⌈log₂ K⌉.
    assert list(most.values()) == [0, 0, 1, 3, 5, 8, 11]
    assert [PAIRINGS["tournament"].most(count) for count in range(7)] == list(most.values())


@pytest.mark.parametrize("count", [2, 3, 4, 7, 8, 16, 31, 100])
def test_a_tournament_takes_fewer_comparisons_than_k_log_k(count: int) -> None:
    levels = math.ceil(math.log2(count))
    most = PAIRINGS["tournament"].most(count)
    assert most == count * levels - 2**levels + 1 <= count * levels


async def test_the_best_is_found_in_every_order_and_compared_with_all_others() -> None:
    most = dict.fromkeys(range(2, 7), 0)
    for order in ORDERS:
        count = len(order)
        bench, best = await pair("best", count, by_place(order))
        if count < 2:
            assert (bench.made, best) == ([], None)
            continue
        assert best is not None
        assert order[best] == 0
        assert {sum(numbers) - best for numbers in bench.made if best in numbers} == {*range(count)} - {best}
        assert bench.no_pair_twice()
        most[count] = max(most[count], len(bench.made))
    assert list(most.values()) == [1, 3, 4, 6, 8]
    assert [PAIRINGS["best"].most(count) for count in range(7)] == [0, 0, *most.values()]


@pytest.mark.parametrize("name", ["best", "tournament"])
@pytest.mark.parametrize("count", range(2, 20))
async def test_nothing_decided_takes_the_most_comparisons_and_always_the_second_the_fewest(
    name: str, count: int
) -> None:
    """Plans rest on this: they rehearse these two, and take them for bounds."""
    undecided, _ = await pair(name, count, lambda *_: None)
    second, _ = await pair(name, count, lambda *_: True)
    assert len(undecided.made) == PAIRINGS[name].most(count)
    rng = random.Random(count)
    for _ in range(50):
        order = tuple(rng.sample(range(count), count))
        bench, _ = await pair(name, count, by_place(order))
        assert len(second.made) <= len(bench.made) <= len(undecided.made)


@pytest.mark.parametrize("count", range(2, 7))
@pytest.mark.parametrize("name", ["best", "tournament"])
async def test_no_order_takes_fewer_comparisons_than_always_the_second(name: str, count: int) -> None:
    benches = [(await pair(name, count, by_place(order)))[0] for order in permutations(range(count))]
    second, _ = await pair(name, count, lambda *_: True)
    assert len(second.made) == min(len(bench.made) for bench in benches)


@pytest.mark.parametrize("name", ["best", "tournament"])
async def test_verdicts_at_random_and_in_circles_end_and_repeat_no_pair(name: str) -> None:
    rng = random.Random(0)
    judges: list[Verdict] = [
        lambda *_: rng.choice([True, False, None]),
        lambda first, second: (second - first) % 3 == 1,  # paper, scissors, stone
    ]
    for count in (*range(2, 12), 40):
        for verdict in judges:
            for _ in range(20):
                bench, best = await pair(name, count, verdict)
                assert bench.no_pair_twice()
                assert len(bench.made) <= PAIRINGS[name].most(count)
                if name == "best":
                    assert sum(best in numbers for numbers in bench.made) == count - 1


async def test_what_is_left_open_keeps_the_order_as_given() -> None:
    bench = Bench(lambda *_: None)
    assert await ranked(range(9), bench.compare) == list(range(9))
    assert (await pair("best", 9, lambda *_: None))[1] == 0


async def test_one_open_comparison_moves_nothing_else() -> None:
    """0 and 5 are the two worst, so no other comparison tells which of them is worse."""
    order = (5, 3, 0, 1, 2, 4)
    bench = Bench(lambda a, b: None if {a, b} == {0, 5} else order[b] < order[a])
    assert await ranked(range(6), bench.compare) == [2, 3, 4, 1, 0, 5]


@pytest.mark.parametrize("name", ["best", "tournament"])
async def test_comparisons_that_need_no_verdict_of_another_are_made_at_once(name: str) -> None:
    bench, _ = await pair(name, 8, lambda *_: False)
    assert bench.most_at_once >= 4
    assert len({number for numbers in bench.made[:4] for number in numbers}) == 8
