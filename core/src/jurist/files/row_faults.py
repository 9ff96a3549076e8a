"""RowFaults: what is wrong with the rows of a file, all of it in one error."""

from __future__ import annotations

from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from jurist.errors import UsageError
from jurist.fault_lines import faults_of

T = TypeVar("T")

_SHOWN = 20
"""How many faults an error lists one by one; the rest are counted."""


class RowFaults:
    """The faults of the rows of one file: the first ones word by word, and how many more there are.

    ``fields`` are those of the model that rows are checked by, where there is one.
    """

    def __init__(self, path: Path, fields: Collection[str] = ()) -> None:
        self._path = path
        self._fields = fields
        self._lines: list[str] = []
        self._more = 0

    def of(self, number: int, row: Any, check: Callable[[Any], T]) -> T | None:
        """What ``check`` makes of the row in line ``number``, or None when it found faults."""
        try:
            return check(row)
        except ValidationError as error:
            found = faults_of(error, self._fields, self._place(number))
        except ValueError as error:
            found = [f"{self._place(number)}: {error}"]
        room = _SHOWN - len(self._lines)
        self._lines += found[:room]
        self._more += len(found[room:])
        return None

    def _place(self, number: int) -> str:
        return f"{self._path.name}:{number}"

    def raise_if_any(self) -> None:
        """Raise one error with every fault.

        Raises:
            UsageError: there are faults.
        """
        if self._lines:
            raise UsageError.of_faults(str(self._path), self._lines, more=self._more)
