"""The index of a run: what can be listed, filtered and searched without reading the run's files again."""

from __future__ import annotations

import sqlite3
import zlib
from collections import Counter
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from pydantic import ValidationError

from jurist.errors import UsageError
from jurist.records import Preference, Trajectory
from jurist.stage_records import Judged
from jurist_review.app.entries import Entry, entry_of_comparison, entry_of_trajectory
from jurist_review.app.sources import Source, sources_of

_VERSION = 3
"""Counts up when the tables change, or what is put into them: an index of another version is made anew."""

_BATCH = 500
"""Rows that are read between two commits."""

_BATCH_BYTES = 8_000_000
"""Bytes after which a batch ends, however few rows it has: some rows are long."""

_WATCHED = 4096
"""Bytes at the start, and before the place where reading stopped, that tell whether a file is the same."""

_TABLES = """
CREATE TABLE files (stage TEXT, kind TEXT, offset INTEGER, head INTEGER, tail INTEGER, unreadable INTEGER,
    PRIMARY KEY (stage, kind)) WITHOUT ROWID;
CREATE TABLE items (id INTEGER PRIMARY KEY, stage TEXT, kind TEXT, item TEXT, outcome TEXT, stratum TEXT,
    preferred TEXT, title TEXT, tags TEXT, offset INTEGER, length INTEGER);
CREATE INDEX items_by_item ON items (item);
CREATE INDEX items_by_stage ON items (stage, kind, outcome);
CREATE INDEX items_by_stratum ON items (stratum) WHERE stratum <> '';
CREATE TABLE tags (tag TEXT, id INTEGER, PRIMARY KEY (tag, id)) WITHOUT ROWID;
CREATE TABLE said (judge TEXT, verdict TEXT, id INTEGER, PRIMARY KEY (judge, verdict, id)) WITHOUT ROWID;
CREATE TABLE claims (stage TEXT, item TEXT, probability REAL, PRIMARY KEY (stage, item)) WITHOUT ROWID;
CREATE TABLE strata (stage TEXT, stratum TEXT, size INTEGER, claimed REAL, PRIMARY KEY (stage, stratum));
CREATE TABLE counts (stage TEXT, name TEXT, value TEXT, number INTEGER,
    PRIMARY KEY (stage, name, value)) WITHOUT ROWID;
CREATE VIRTUAL TABLE texts USING fts5 (prompt, responses, said, content='', columnsize=0);
"""

_NAMES = ("files", "items", "tags", "said", "claims", "strata", "counts", "texts")


@dataclass(frozen=True)
class Reading:
    """How far a file has been read: bytes read, of how many, and how many rows could not be."""

    source: Source
    read: int
    size: int
    unreadable: int


class Index:
    """The index of the run in ``folder``: ``review/index.sqlite`` there, which can be deleted any time.

    :meth:`refresh` reads what the run's files have in addition; it may run beside readers.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "review" / "index.sqlite"
        try:
            self.path.parent.mkdir(exist_ok=True)
        except OSError as error:
            raise _unusable(self.path, error) from error
        with self.connected() as connection:
            _make_if_missing(connection)

    @contextmanager
    def connected(self) -> Iterator[sqlite3.Connection]:
        """A connection of its own, for one thread.

        Raises:
            UsageError: the file cannot be read or written, or was deleted a moment ago.
        """
        try:
            with closing(sqlite3.connect(self.path, timeout=30, isolation_level=None)) as connection:
                connection.row_factory = sqlite3.Row
                connection.execute("PRAGMA journal_mode = WAL")
                connection.execute("PRAGMA synchronous = OFF")  # what is lost can be read again
                yield connection
        except sqlite3.Error as error:
            raise _unusable(self.path, error) from error

    def refresh(self) -> bool:
        """Read on in every file that has grown; returns whether there was anything.

        Where a file is another than before or is gone, or the index was deleted, everything is read anew.
        """
        sources = sources_of(self.folder)
        with self.connected() as connection:
            _make_if_missing(connection)
            read = {tuple(row) for row in connection.execute("SELECT stage, kind FROM files")}
            gone = read - {(source.stage, source.kind) for source in sources}
            if gone or not all(_continues(connection, source) for source in sources):
                _make_anew(connection)
            changed = False
            for source in sources:
                while _read_on(connection, source):
                    changed = True
            if changed:
                _count_strata(connection)
            return changed

    def readings(self) -> list[Reading]:
        """How far each file has been read."""
        found = []
        with self.connected() as connection:
            for source in sources_of(self.folder):
                row = _state(connection, source)
                read, unreadable = (row["offset"], row["unreadable"]) if row else (0, 0)
                found.append(Reading(source, read, source.path.stat().st_size, unreadable))
        return found

    def is_whole(self, stage: str) -> bool:
        """Whether the labels of a stage have been read, all of them, and their comparisons."""
        of_stage = [reading for reading in self.readings() if reading.source.stage == stage]
        kinds = {reading.source.kind for reading in of_stage if reading.read >= reading.size}
        return {"comparison", "label"} <= kinds


def _unusable(path: Path, error: Exception) -> UsageError:
    return UsageError(
        f"{path} cannot be read or written",
        provided_by="jurist-review",
        cause=error,
        hint=f"free space, or delete {path}: it is made anew from the run's files",
    )


@contextmanager
def _transaction(connection: sqlite3.Connection) -> Iterator[None]:
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")


def _make_if_missing(connection: sqlite3.Connection) -> None:
    """Make the tables where there are none, or those of another version."""
    if connection.execute("PRAGMA user_version").fetchone()[0] != _VERSION:
        _make_anew(connection)


def _make_anew(connection: sqlite3.Connection) -> None:
    with _transaction(connection):
        for name in _NAMES:
            connection.execute(f"DROP TABLE IF EXISTS {name}")
        for statement in _TABLES.split(";"):
            connection.execute(statement)
        connection.execute(f"PRAGMA user_version = {_VERSION}")


def _state(connection: sqlite3.Connection, source: Source) -> sqlite3.Row | None:
    where = (source.stage, source.kind)
    row: sqlite3.Row | None = connection.execute(
        "SELECT * FROM files WHERE stage = ? AND kind = ?", where
    ).fetchone()
    return row


def _continues(connection: sqlite3.Connection, source: Source) -> bool:
    """Whether a file still begins with what was read of it."""
    state = _state(connection, source)
    if state is None:
        return True
    if source.path.stat().st_size < state["offset"]:
        return False
    with source.path.open("rb") as file:
        return _checksums(file, state["offset"]) == (state["head"], state["tail"])


def _checksums(file: IO[bytes], offset: int) -> tuple[int, int]:
    """Of the first bytes before ``offset``, and of the last."""
    file.seek(0)
    head = zlib.crc32(file.read(min(_WATCHED, offset)))
    file.seek(max(0, offset - _WATCHED))
    return head, zlib.crc32(file.read(min(_WATCHED, offset)))


def _read_on(connection: sqlite3.Connection, source: Source) -> bool:
    """Put the next rows of a file into the index; returns whether there were any.

    How far the file was read is looked up in the same transaction, so two processes can take turns.
    """
    with _transaction(connection), source.path.open("rb") as file:
        state = _state(connection, source)
        offset, unreadable = (state["offset"], state["unreadable"]) if state else (0, 0)
        began = offset
        file.seek(began)
        rows: list[tuple[int, bytes]] = []
        for line in file:
            if not line.endswith(b"\n") and not source.whole:
                break  # it is being written
            rows.append((offset, line))
            offset += len(line)
            if len(rows) == _BATCH or offset - began >= _BATCH_BYTES:
                break
        if not rows:
            return False
        unreadable += _add(connection, source, rows)
        head, tail = _checksums(file, offset)
        connection.execute(
            "INSERT OR REPLACE INTO files VALUES (?, ?, ?, ?, ?, ?)",
            (source.stage, source.kind, offset, head, tail, unreadable),
        )
    return True


def _add(connection: sqlite3.Connection, source: Source, rows: list[tuple[int, bytes]]) -> int:
    """Add rows; returns how many could not be read."""
    unreadable = 0
    counts: Counter[tuple[str, str]] = Counter()
    for offset, line in rows:
        if not line.strip():
            continue
        try:
            if source.kind == "label":
                label = Preference.model_validate_json(line)
                claim = (source.stage, label.comparison_id, label.probability)
                connection.execute("INSERT OR REPLACE INTO claims VALUES (?, ?, ?)", claim)
            else:
                _add_entry(connection, source, offset, line, counts)
        except ValidationError:
            unreadable += 1
    connection.executemany(
        "INSERT INTO counts VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET number = number + excluded.number",
        [(source.stage, name, value, number) for (name, value), number in counts.items()],
    )
    return unreadable


def _add_entry(
    connection: sqlite3.Connection,
    source: Source,
    offset: int,
    line: bytes,
    counts: Counter[tuple[str, str]],
) -> None:
    entry = _entry(source, line)
    values = (source.stage, source.kind, entry.item, entry.outcome, entry.stratum, entry.preferred)
    row = connection.execute(
        "INSERT INTO items VALUES (NULL, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        (*values, entry.title, "\n".join(entry.tags), offset, len(line)),
    ).lastrowid
    connection.executemany("INSERT INTO tags VALUES (?, ?)", [(tag, row) for tag in entry.tags])
    connection.executemany("INSERT INTO said VALUES (?, ?, ?)", [(*said, row) for said in entry.judges])
    connection.execute(
        "INSERT INTO texts (rowid, prompt, responses, said) VALUES (?, ?, ?, ?)",
        (row, entry.prompt, entry.responses, entry.said),
    )
    counts.update([("kind", source.kind), ("outcome", entry.outcome)])
    counts.update(("tag", tag) for tag in entry.tags)
    counts.update(("judge", judge) for judge, _ in entry.judges)
    if entry.stratum:
        counts["stratum", entry.stratum] += 1


def _entry(source: Source, line: bytes) -> Entry:
    if source.kind == "comparison":
        return entry_of_comparison(Judged.model_validate_json(line))
    return entry_of_trajectory(Trajectory.model_validate_json(line))


def _count_strata(connection: sqlite3.Connection) -> None:
    """How many labels each stratum has, and what they claim in the mean."""
    with _transaction(connection):
        connection.execute("DELETE FROM strata")
        connection.execute(
            "INSERT INTO strata SELECT claims.stage, stratum, COUNT(*), AVG(probability) FROM claims"
            " JOIN (SELECT DISTINCT stage, item, stratum FROM items WHERE stratum <> '') USING (stage, item)"
            " GROUP BY claims.stage, stratum"
        )
