"""JSON lines on disk: read with line numbers, written whole or not at all."""

from __future__ import annotations

import gzip
import json
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any, cast

from jurist.errors import UsageError
from jurist.files.missing import missing_hint

_TABLE = re.compile(r'(?:"[^"\\]*"|[^"{\W][^",;\t]*)[,;\t]')
"""What a table begins with: a heading, in quotes or not, and a separator."""

_NOT_UTF8 = re.compile("[\udc80-\udcff]")
"""What stands for a byte that is not UTF-8 where a file is read with ``surrogateescape``."""


def read_rows(path: Path) -> Iterator[tuple[int, Any]]:
    """Each line's number (from 1) and value; a line that is not JSON gives a ``ValueError`` as value.

    Raises:
        UsageError: the file cannot be read.
    """
    for number, line in read_lines(path):
        yield number, parse_line(line)


def read_lines(path: Path) -> Iterator[tuple[int, str]]:
    """Each line's number (from 1) and text.

    Blank lines are skipped; names that end in ``.gz`` are decompressed; a byte order mark is passed over.

    Raises:
        UsageError: the file cannot be read.
    """
    try:
        with _opened(path) as lines:
            rows = ((number, line) for number, line in enumerate(lines, 1) if line.strip())
            if (first := next(rows, None)) is not None:
                _refuse_other_forms(path, first[1])
                yield first
            yield from rows
    except UnicodeDecodeError as error:
        cause = f"line {_first_not_utf8(path)} is not UTF-8"
        raise UsageError(f"cannot read {path}", cause=cause, hint="save the file as UTF-8") from error
    except (OSError, EOFError) as error:
        raise UsageError(f"cannot read {path}", cause=error, hint=missing_hint(path)) from error


def _opened(path: Path, errors: str = "strict") -> IO[str]:
    opener = gzip.open if path.suffix == ".gz" else open
    return cast(IO[str], opener(path, "rt", encoding="utf-8-sig", errors=errors))


def _refuse_other_forms(path: Path, first: str) -> None:
    """Refuse a file whose first line shows that it holds no rows: each line would be a fault."""
    if first.lstrip().startswith("["):
        form = "it is one JSON array"
    elif _TABLE.match(first):
        form = "it looks like CSV"
    else:
        return
    raise UsageError(f"cannot read {path}", cause=form, hint="write one JSON object per line")


def _first_not_utf8(path: Path) -> int:
    """The number of the first line that has bytes which are not UTF-8."""
    with _opened(path, errors="surrogateescape") as lines:
        return next(number for number, line in enumerate(lines, 1) if _NOT_UTF8.search(line))


def parse_line(line: str) -> Any:
    """The value of a line; a ``ValueError`` where it is not JSON."""
    try:
        return json.loads(line)
    except json.JSONDecodeError as error:
        return ValueError(f"not JSON: {error.msg} (column {error.pos + 1})")


class LineWriter:
    """Writes one JSON value per line."""

    def __init__(self, file: IO[str], path: Path) -> None:
        self._file = file
        self._path = path
        self.count = 0

    def write(self, line: str) -> None:
        """Append one line of JSON."""
        with _writing(self._path):
            self._file.write(line + "\n")
        self.count += 1


@contextmanager
def write_lines(path: Path) -> Iterator[LineWriter]:
    """A writer whose file appears under ``path``, complete and on disk, when the block ends well.

    What the block itself raises is raised as it is.

    Raises:
        UsageError: the folder or the disk does not take it.
    """
    draft = path.with_name(path.name + ".part")
    with _writing(path):
        file = draft.open("w", encoding="utf-8", errors="surrogatepass")
    try:
        yield LineWriter(file, path)
        with _writing(path):
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        with suppress(OSError):  # it may fail again on what could not be written
            file.close()
        raise
    with _writing(path):
        file.close()
        draft.replace(path)


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise unwritable(path, error) from error


def write_json(path: Path, value: Any) -> None:
    """Write one JSON document, complete or not at all.

    Raises:
        UsageError: the folder or the disk does not take it.
    """
    with write_lines(path) as lines:
        lines.write(json.dumps(value, ensure_ascii=False, indent=2, default=str))


def append_line(path: Path, row: str) -> None:
    """Add a row to a file that outlives interruptions.

    Raises:
        UsageError: the disk does not take it.
    """
    try:
        with path.open("a", encoding="utf-8") as file:
            file.write(row + "\n")
    except OSError as error:
        raise unwritable(path, error) from error


def unwritable(path: Path, error: OSError) -> UsageError:
    """The error for a file that cannot be written."""
    return UsageError(
        f"cannot write {path}",
        cause=error,
        hint="free space or choose another folder with --out, then run the same command again: "
        "nothing that was paid for is lost",
    )
