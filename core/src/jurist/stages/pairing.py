"""Pairing: which of K responses to one prompt are compared, and which comparisons wait for verdicts."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from types import MappingProxyType

Pairs = list[tuple[int, int]]

Compare = Callable[[int, int], Awaitable[bool | None]]
"""Compares two responses, by their numbers: whether the second is better; None where that is left open."""


@dataclass(frozen=True)
class Pairing:
    """A way to pair K responses; it compares no two of them twice.

    ``pair(count, compare)`` makes the comparisons, all at once that need no verdict of another. It gives the
    number of the response that every preference is to be about, None where any will do. ``most(count)`` is
    how many comparisons that takes at most.

    ``adaptive``: verdicts say what is compared next. Where one is left open (set aside, a tie), the two stay
    in the order in which they were given, which makes no label of it.
    """

    pair: Callable[[int, Compare], Awaitable[int | None]]
    most: Callable[[int], int]
    adaptive: bool = True


def all_pairs(count: int) -> Pairs:
    """Every pair of ``count`` responses: K(K-1)/2 comparisons."""
    return list(combinations(range(count), 2))


def adjacent(count: int) -> Pairs:
    """The first with the second, the second with the third, and so on: K-1 comparisons."""
    return [(index, index + 1) for index in range(count - 1)]


async def best(count: int, compare: Compare) -> int | None:
    """Find the best by a knock-out, then compare it with all that it has not met."""
    if count < 2:
        return None
    met: list[set[int]] = [{number} for number in range(count)]

    async def winner(numbers: Sequence[int]) -> int:
        if len(numbers) == 1:
            return numbers[0]
        half = len(numbers) // 2
        first, second = await asyncio.gather(winner(numbers[:half]), winner(numbers[half:]))
        met[first].add(second)
        met[second].add(first)
        return second if await compare(first, second) else first

    found = await winner(range(count))
    rest = [number for number in range(count) if number not in met[found]]
    await asyncio.gather(*(compare(min(found, other), max(found, other)) for other in rest))
    return found


def most_for_best(count: int) -> int:
    """K-1 comparisons find the best, which has met at least ⌊log₂ K⌋ of the others by then."""
    return max(0, 2 * (count - 1) - (count.bit_length() - 1))


async def tournament(count: int, compare: Compare) -> None:
    """Rank the responses; all comparisons on the way may become preferences."""
    await ranked(range(count), compare)


async def ranked(numbers: Sequence[int], compare: Compare) -> list[int]:
    """Sort responses by merging, the best first."""
    if len(numbers) < 2:
        return list(numbers)
    # Every other one instead of halves: the given order then takes the most comparisons, and verdicts that
    # are always for the second take the fewest. Plans, in which nobody decides anything, count both.
    first, second = await asyncio.gather(ranked(numbers[::2], compare), ranked(numbers[1::2], compare))
    return await _merged(deque(first), deque(second), compare)


async def _merged(first: deque[int], second: deque[int], compare: Compare) -> list[int]:
    merged = []
    while first and second:
        second_is_better = await compare(first[0], second[0])
        if second_is_better is None:
            second_is_better = second[0] < first[0]
        merged.append((second if second_is_better else first).popleft())
    return [*merged, *first, *second]


def most_for_tournament(count: int) -> int:
    """K⌈log₂ K⌉ - 2^⌈log₂ K⌉ + 1: each merge takes one comparison less than it has responses."""
    if count < 2:
        return 0
    half = count // 2
    return most_for_tournament(half) + most_for_tournament(count - half) + count - 1


def _fixed(pairs: Callable[[int], Pairs]) -> Pairing:
    """The pairing whose pairs are known beforehand."""

    async def pair(count: int, compare: Compare) -> None:
        await asyncio.gather(*(compare(*numbers) for numbers in pairs(count)))

    return Pairing(pair, most=lambda count: len(pairs(count)), adaptive=False)


PAIRINGS: MappingProxyType[str, Pairing] = MappingProxyType(
    {
        "all": _fixed(all_pairs),
        "adjacent": _fixed(adjacent),
        "best": Pairing(best, most_for_best),
        "tournament": Pairing(tournament, most_for_tournament),
    }
)
"""The pairings by their names in recipes."""
