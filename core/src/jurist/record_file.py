"""RecordFile: the records of a JSONL file, read anew each time, so that its length costs no memory."""

from __future__ import annotations

import json
import zlib
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from pydantic import ValidationError

from jurist.errors import UsageError
from jurist.id_set import IdSet
from jurist.jsonl import read_rows
from jurist.options import fault_line


class Identified(Protocol):
    """What has an id that depends on its content."""

    @property
    def id(self) -> str:
        """The id."""


RecordT = TypeVar("RecordT", bound=Identified)

_SHOWN = 20
"""How many faults an error lists one by one; the rest are counted."""


class RecordFile(Generic[RecordT]):
    """The records of a file: those that ``keep`` keeps, each once, and of these the first ``limit``.

    ``noun`` says what they are, in the plural. All rows are checked at the start. Five bytes of each are
    kept: whether it counts, and a checksum by which a row that has changed since is noticed.

    Raises:
        UsageError: the file is missing or empty, or rows are faulty; lists them by line.
    """

    def __init__(
        self,
        path: Path,
        parse: Callable[[Any], RecordT],
        noun: str,
        *,
        keep: Callable[[RecordT], bool] = lambda record: True,
        limit: int | None = None,
    ) -> None:
        self.path = path
        self.noun = noun
        self._parse: Callable[[Any], RecordT] = parse
        self._limit = limit
        self._counts = bytearray()
        self._checksums = array("I")
        self._check(keep)
        self._length = sum(self._counts)

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[RecordT]:
        """The records in their order.

        Raises:
            UsageError: the file has changed since it was checked.
        """
        left, known = self._length, len(self._checksums)
        rows = 0
        for number, row in read_rows(self.path):
            if rows == known or not self._is_as_checked(row, rows):
                raise self._changed(f"line {number} is not what it was")
            if self._counts[rows]:
                yield self._parse(row)
                left -= 1
            rows += 1
            if not left and self._limit is not None:
                return  # the rest is not wanted, and may be long
        if rows < known:
            raise self._changed(f"it had {known:,} rows and now has {rows:,}")

    def spread(self, most: int) -> list[RecordT]:
        """All records, or ``most`` of them from evenly over the whole file."""
        if self._length <= most:
            return list(self)
        chosen = {(2 * number + 1) * self._length // (2 * most) for number in range(most)}
        return [record for number, record in enumerate(self) if number in chosen]

    def _check(self, keep: Callable[[RecordT], bool]) -> None:
        """Look at every row; of equal records the first counts."""
        seen = IdSet()
        faults = _Faults(self.path)
        left = self._limit
        for number, row in read_rows(self.path):
            record = faults.of(number, row, self._checked)
            counts = record is not None and seen.add(record.id) and left != 0 and keep(record)
            self._counts.append(counts)
            if counts and left is not None:
                left -= 1
        faults.raise_if_any()
        if not self._counts:
            raise UsageError(f"{self.path} holds no {self.noun}")

    def _checked(self, row: Any) -> RecordT:
        """The record of a row that is looked at for the first time; its checksum is kept."""
        if isinstance(row, ValueError):
            raise row
        try:
            self._checksums.append(_checksum(row))
        except UnicodeEncodeError:  # JSON can write half of an emoji, which can be neither sent nor stored
            raise ValueError("holds half a character (a lone surrogate)") from None
        return self._parse(row)

    def _is_as_checked(self, row: Any, index: int) -> bool:
        try:
            return not isinstance(row, ValueError) and _checksum(row) == self._checksums[index]
        except UnicodeEncodeError:
            return False

    def _changed(self, what: str) -> UsageError:
        return UsageError(
            f"{self.path} changed while it was in use",
            cause=what,
            hint="leave the file alone during a run, and run the same command again",
        )


class _Faults:
    """The faults of the rows of one file: the first ones word by word, and how many more there are."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lines: list[str] = []
        self._more = 0

    def of(self, number: int, row: Any, check: Callable[[Any], RecordT]) -> RecordT | None:
        """What ``check`` makes of the row in line ``number``, or None when it found faults."""
        place = f"{self._path.name}:{number}"
        try:
            return check(row)
        except ValidationError as error:
            found = [fault_line(entry, (), place) for entry in error.errors()]
        except ValueError as error:
            found = [f"{place}: {error}"]
        room = _SHOWN - len(self._lines)
        self._lines += found[:room]
        self._more += len(found[room:])
        return None

    def raise_if_any(self) -> None:
        if self._lines:
            more = [f"… and {self._more} more"] if self._more else []
            raise UsageError.of_faults(str(self._path), [*self._lines, *more])


def _checksum(row: Any) -> int:
    """A number of 32 bits that a changed row hardly ever has too."""
    return zlib.crc32(json.dumps(row, ensure_ascii=False).encode())
