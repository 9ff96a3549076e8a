"""Streams the JSONL files of a run, and writes down what could not be read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from jurist.errors import UsageError
from jurist.files.jsonl import read_rows
from jurist.records import Record
from jurist_review.display import counted

R = TypeVar("R", bound=Record)


@dataclass
class Problems:
    """What of a run could not be read; the report shows it before anything else."""

    lines: list[str] = field(default_factory=list)

    def add(self, line: str) -> None:
        """Note one problem."""
        self.lines.append(line)


def read_values(path: Path, problems: Problems) -> Iterator[dict[str, Any]]:
    """The JSON objects of a file, one per line; other lines are counted and noted."""
    unreadable = _Unreadable()
    try:
        for number, value in read_rows(path):
            if isinstance(value, dict):
                yield value
            else:
                unreadable.add(number, value if isinstance(value, ValueError) else "not a JSON object")
    except UsageError as error:
        problems.add(f"{place_of(path)} could not be read to its end: {error.cause}")
    unreadable.note(path, problems)


def read_records(path: Path, record: type[R], problems: Problems) -> Iterator[R]:
    """The records of a file; lines that do not hold one are counted and noted."""
    unreadable = _Unreadable()
    for number, value in enumerate(read_values(path, problems), 1):
        try:
            yield record.model_validate(value)
        except ValidationError as error:
            unreadable.add(
                number, f"{counted(error.error_count(), 'fault')}, first: {error.errors()[0]['msg']}"
            )
    unreadable.note(path, problems)


class _Unreadable:
    """Counts lines, and keeps the first one's reason."""

    def __init__(self) -> None:
        self._count = 0
        self._first = ""

    def add(self, number: int, reason: object) -> None:
        self._count += 1
        self._first = self._first or f"the first is row {number}: {reason}"

    def note(self, path: Path, problems: Problems) -> None:
        if self._count:
            rows = counted(self._count, "row")
            problems.add(f"{place_of(path)}: left out {rows} that could not be read; {self._first}")


def place_of(path: Path) -> str:
    """The file as a reader of the run directory knows it."""
    return f"{path.parent.name}/{path.name}"
