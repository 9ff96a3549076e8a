"""Pairing: which of K responses to one prompt are compared with each other."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from types import MappingProxyType

Pairs = list[tuple[int, int]]


def all_pairs(count: int) -> Pairs:
    """Every pair of ``count`` responses: K(K-1)/2 comparisons."""
    return list(combinations(range(count), 2))


def adjacent(count: int) -> Pairs:
    """The first with the second, the second with the third, and so on: K-1 comparisons."""
    return [(index, index + 1) for index in range(count - 1)]


PAIRINGS: MappingProxyType[str, Callable[[int], Pairs]] = MappingProxyType(
    {"all": all_pairs, "adjacent": adjacent}
)
"""Name of a pairing in a recipe → its function."""
