"""Selection: a bounded sample of a stream, the same in every report of the same data."""

from __future__ import annotations

import bisect
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field
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


@dataclass
class _Group:
    """Texts by rank; ``closed``: the rank from which on there was no room."""

    entries: list[tuple[str, str, str]] = field(default_factory=list)
    size: int = 0
    closed: str = "~"


class Fitting:
    """Keeps as many texts as fit into so many bytes, about as many bytes of each group.

    Of a group it keeps those whose keys have the smallest hashes.
    """

    def __init__(self, most: int) -> None:
        self._room = most
        self._groups: dict[str, _Group] = {}

    def has_room(self, group: str, key: str) -> bool:
        """Whether a text would be kept, as far as is known before its length is."""
        return group not in self._groups or rank(key) < self._groups[group].closed

    def offer(self, group: str, key: str, text: str) -> None:
        """Keep ``text`` while there is room; the largest group makes some."""
        if not self.has_room(group, key):
            return
        into = self._groups.setdefault(group, _Group())
        bisect.insort(into.entries, (rank(key), key, text))
        into.size += len(text.encode())
        self._room -= len(text.encode())
        while self._room < 0:
            largest = max(self._groups.values(), key=lambda each: each.size)
            largest.closed, _, dropped = largest.entries.pop()
            largest.size -= len(dropped.encode())
            self._room += len(dropped.encode())

    def texts(self) -> dict[str, str]:
        """What was kept, by key."""
        return {key: text for group in self._groups.values() for _, key, text in group.entries}


def rank(key: str) -> str:
    """A place in an order that has nothing to do with what ``key`` says."""
    return hashlib.sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
