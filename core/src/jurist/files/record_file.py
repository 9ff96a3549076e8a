"""RecordFile: the records of a JSONL file, read anew each time, so that its length costs no memory."""

from __future__ import annotations

import json
import re
import zlib
from array import array
from collections.abc import Callable, Collection, Iterator
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from jurist.errors import UsageError
from jurist.files.id_set import IdSet
from jurist.files.jsonl import parse_line, read_lines
from jurist.files.row_faults import RowFaults


class Identified(Protocol):
    """What has an id that depends on its content."""

    @property
    def id(self) -> str:
        """The id."""


RecordT = TypeVar("RecordT", bound=Identified)

_SURROGATE = re.compile(r"\\u[dD][89a-fA-F]")


class RecordFile(Generic[RecordT]):
    """The records of a file: those that ``keep`` keeps, each once, and of these the first ``limit``.

    ``noun`` says what they are, in the plural. All rows are checked at the start; ``check`` is shown each
    with the number of its line, and raises a ``ValueError`` where it is faulty. Five bytes of each are kept:
    whether it counts, and a checksum by which a row that has changed since is noticed. ``fields`` are those
    of the model that rows are checked by, where there is one.

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
        check: Callable[[int, RecordT], None] = lambda number, record: None,
        fields: Collection[str] = (),
    ) -> None:
        self.path = path
        self.noun = noun
        self._parse: Callable[[Any], RecordT] = parse
        self._limit = limit
        self._counts = bytearray()
        self._checksums = array("I")
        self._check(keep, check, RowFaults(path, fields))
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
        for number, line in read_lines(self.path):
            if rows == known or _checksum(line) != self._checksums[rows]:
                raise self._changed(f"line {number} is not what it was")
            if self._counts[rows]:
                yield self._parse(parse_line(line))
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

    def _check(
        self, keep: Callable[[RecordT], bool], check: Callable[[int, RecordT], None], faults: RowFaults
    ) -> None:
        """Look at every row; of equal records the first counts."""
        seen = IdSet()
        left = self._limit
        for number, line in read_lines(self.path):
            self._checksums.append(_checksum(line))
            record = faults.of(number, line, lambda line, number=number: self._checked(number, line, check))  # type: ignore[misc]
            counts = record is not None and seen.add(record.id) and left != 0 and keep(record)
            self._counts.append(counts)
            if counts and left is not None:
                left -= 1
        faults.raise_if_any()
        if not self._counts:
            raise UsageError(f"{self.path} holds no {self.noun}")

    def _checked(self, number: int, line: str, check: Callable[[int, RecordT], None]) -> RecordT:
        """The record of a line that is looked at for the first time."""
        row = parse_line(line)
        if isinstance(row, ValueError):
            raise row
        if _SURROGATE.search(line) and not _is_whole(row):
            raise ValueError("holds half a character (a lone surrogate)")
        record = self._parse(row)
        check(number, record)
        return record

    def _changed(self, what: str) -> UsageError:
        return UsageError(
            f"{self.path} changed while it was in use",
            cause=what,
            hint="leave the file alone during a run, and run the same command again",
        )


def _checksum(line: str) -> int:
    """A number of 32 bits that a changed line hardly ever has too."""
    return zlib.crc32(line.strip().encode())


def _is_whole(row: Any) -> bool:
    """Whether no text of a row holds half a character, which JSON can write, but nobody send or store."""
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True
