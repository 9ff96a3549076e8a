"""IdSet: the ids seen so far, in a tenth of the memory that a set of texts takes."""

from __future__ import annotations

from array import array

_FIRST = 1024
"""How many slots there are at the start; always a power of two."""


class IdSet:
    """A set of ids of sixteen hexadecimal digits, as records have: 16 to 32 bytes for each.

    Ids are hashes, so their own last digits say in which slot to look first.
    """

    def __init__(self) -> None:
        self._slots = array("Q", bytes(8 * _FIRST))
        self._count = 0
        self._has_zero = False  # a slot that holds 0 is free, so the id 0 has none

    def __len__(self) -> int:
        return self._count + self._has_zero

    def add(self, id_: str) -> bool:
        """Put an id in; says whether it is new."""
        value = int(id_, 16)
        if value == 0:
            known, self._has_zero = self._has_zero, True
            return not known
        slot = self._slot(value)
        if self._slots[slot] == value:
            return False
        self._slots[slot] = value
        self._count += 1
        if 2 * self._count > len(self._slots):
            self._grow()
        return True

    def _slot(self, value: int) -> int:
        """Where the value is, or would be put."""
        mask = len(self._slots) - 1
        slot = value & mask
        while self._slots[slot] not in (0, value):
            slot = (slot + 1) & mask
        return slot

    def _grow(self) -> None:
        old = self._slots
        self._slots = array("Q", bytes(2 * 8 * len(old)))
        for value in old:
            if value:
                self._slots[self._slot(value)] = value
