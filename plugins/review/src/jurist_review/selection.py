"""Selection: a bounded sample of a stream, the same in every report of the same data."""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Sequence
from typing import Generic, TypeVar

T = TypeVar("T")


class Selection(Generic[T]):
    """Keeps, per group, the ``limit`` items whose keys have the smallest hashes.

    Which items are kept depends neither on their order nor on what they contain.
    """

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._groups: dict[str, list[tuple[str, T]]] = {}

    def offer(self, group: str, key: str, item: T) -> None:
        """Keep ``item`` if its key is among the smallest seen of its group."""
        kept = self._groups.setdefault(group, [])
        bisect.insort(kept, (rank(key), item), key=lambda entry: entry[0])
        del kept[self._limit :]

    def preferring(self, groups: Sequence[str]) -> list[T]:
        """Up to ``limit`` items, all of the first group before any of the next."""
        ordered = [item for group in groups for _, item in self._groups.get(group, [])]
        return ordered[: self._limit]

    def in_turn(self) -> list[T]:
        """Up to ``limit`` items, one of each group in turn, so that rare groups are seen."""
        groups = [self._groups[name] for name in sorted(self._groups)]
        turns = range(max(map(len, groups), default=0))
        ordered = [group[turn][1] for turn in turns for group in groups if turn < len(group)]
        return ordered[: self._limit]


def rank(key: str) -> str:
    """A place in an order that has nothing to do with what ``key`` says."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
