"""Rows of the run's files, read from where the index says that they are."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from jurist.errors import UsageError
from jurist.records import Trajectory
from jurist.stage_records import Judged
from jurist_review.app.index import Index
from jurist_review.app.sources import sources_of


@dataclass(frozen=True)
class Item:
    """What the index knows of a row, and where it is."""

    id: int
    stage: str
    kind: str
    item: str
    outcome: str
    stratum: str
    preferred: str
    title: str
    tags: str
    offset: int
    length: int


class Rows:
    """Finds and reads single rows of a run."""

    def __init__(self, index: Index) -> None:
        self._index = index

    def numbered(self, number: int) -> Item | None:
        """The row with a number of the index."""
        return self._one("SELECT * FROM items WHERE id = ?", (number,))

    def compared(self, stage: str, item: str) -> Item | None:
        """The row of a comparison of a stage."""
        query = "SELECT * FROM items WHERE item = ? AND stage = ? AND kind = 'comparison' ORDER BY id"
        return self._one(query, (item, stage))

    def judged(self, item: Item) -> Judged:
        """A comparison with all that was said of it.

        Raises:
            UsageError: the file is no longer what was indexed.
        """
        judged = Judged.model_validate_json(self._line(item))
        if judged.comparison.id != item.item:
            raise _changed(item)
        return judged

    def trajectory(self, item: Item) -> Trajectory:
        """A trajectory.

        Raises:
            UsageError: the file is no longer what was indexed.
        """
        trajectory = Trajectory.model_validate_json(self._line(item))
        if trajectory.prompt.id != item.item:
            raise _changed(item)
        return trajectory

    def _one(self, query: str, values: tuple[object, ...]) -> Item | None:
        with self._index.connected() as connection:
            row = connection.execute(query, values).fetchone()
        return None if row is None else Item(**row)

    def _line(self, item: Item) -> bytes:
        path = _path(self._index.folder, item)
        try:
            with path.open("rb") as file:
                file.seek(item.offset)
                line = file.read(item.length)
                at_end = not file.read(1)
        except OSError as error:
            raise _changed(item) from error
        ended = line.endswith(b"\n") or at_end  # the last row of a file may have no newline
        if len(line) != item.length or not ended or not line.lstrip().startswith(b"{"):
            raise _changed(item)
        return line


def _path(folder: Path, item: Item) -> Path:
    sources = sources_of(folder)
    path = next((s.path for s in sources if (s.stage, s.kind) == (item.stage, item.kind)), None)
    if path is None:
        raise _changed(item)
    return path


def _changed(item: Item) -> UsageError:
    return UsageError(
        f"a file of stage '{item.stage}' is no longer what it was",
        provided_by="jurist-review",
        hint="load the page again in a moment; it is being read anew",
    )
