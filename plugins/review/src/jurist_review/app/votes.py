"""What reviewers did: events that are only ever added, each on disk before anybody is told of it."""

from __future__ import annotations

import sqlite3
import uuid
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from jurist.errors import UsageError
from jurist.validation.labelled import Label

EventKind = Literal["vote", "skip", "note", "undo"]
Shown = Literal["ab", "ba"]
"""Which of a comparison's two responses a reviewer saw first."""

_TABLES = """
CREATE TABLE IF NOT EXISTS events (
    sequence INTEGER PRIMARY KEY AUTOINCREMENT,
    time TEXT NOT NULL,
    request TEXT NOT NULL UNIQUE,
    tab TEXT NOT NULL,
    reviewer TEXT NOT NULL,
    stage TEXT NOT NULL,
    item TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('vote', 'skip', 'note', 'undo')),
    label TEXT CHECK ((kind = 'vote') = (label IS NOT NULL) AND label IN ('A', 'B', 'tie')),
    shown TEXT NOT NULL CHECK (shown IN ('ab', 'ba')),
    note TEXT,
    undoes INTEGER UNIQUE REFERENCES events CHECK ((kind = 'undo') = (undoes IS NOT NULL))
);
CREATE INDEX IF NOT EXISTS events_of_item ON events (stage, item, reviewer);
CREATE TRIGGER IF NOT EXISTS events_stay BEFORE UPDATE ON events
    BEGIN SELECT RAISE(ABORT, 'events are only added'); END;
CREATE TRIGGER IF NOT EXISTS events_remain BEFORE DELETE ON events
    BEGIN SELECT RAISE(ABORT, 'events are only added'); END;
CREATE TABLE IF NOT EXISTS sample (
    stage TEXT NOT NULL, item TEXT NOT NULL, position INTEGER NOT NULL, stratum TEXT NOT NULL,
    probability REAL NOT NULL, PRIMARY KEY (stage, item)
);
"""

# The newest vote or skip of each reviewer on each item, of those that were not undone.
_STANDING = """
SELECT events.* FROM events JOIN (
    SELECT MAX(sequence) AS sequence FROM events
    WHERE kind IN ('vote', 'skip') AND stage = :stage
        AND sequence NOT IN (SELECT undoes FROM events WHERE undoes IS NOT NULL)
    GROUP BY item, reviewer
) USING (sequence) ORDER BY sequence
"""


@dataclass(frozen=True)
class Action:
    """What a reviewer does to an item. ``label`` is in the comparison's own A and B, whatever was shown.

    ``request`` is new for each action, and the same when it is sent again because no answer came.
    """

    request: str
    tab: str
    reviewer: str
    stage: str
    item: str
    kind: EventKind
    shown: Shown
    label: Label | None = None
    note: str | None = None
    undoes: int | None = None


@dataclass(frozen=True)
class Event:
    """An action as it was kept: the ``sequence`` is its number, ``time`` in UTC."""

    sequence: int
    time: str
    request: str
    tab: str
    reviewer: str
    stage: str
    item: str
    kind: EventKind
    label: Label | None
    shown: Shown
    note: str | None
    undoes: int | None


@dataclass(frozen=True)
class Drawn:
    """An item of the sample: at which place of the queue, from which stratum, with which probability."""

    item: str
    position: int
    stratum: str
    probability: float


class StaleError(Exception):
    """The reviewer acted on what is no longer so: ``events`` are those that the page did not know."""

    def __init__(self, events: list[Event]) -> None:
        super().__init__("another page of this reviewer was there first")
        self.events = events


class Votes:
    """The events of all reviewers of the run in ``folder``, in ``review/votes.sqlite`` there.

    Raises:
        UsageError: the file cannot be read or written.
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / "review" / "votes.sqlite"
        try:
            self.path.parent.mkdir(exist_ok=True)
            with self._connected() as connection:
                connection.executescript(_TABLES)
        except (OSError, sqlite3.Error) as error:
            raise UsageError(
                f"{self.path} cannot be written",
                provided_by="jurist-review",
                cause=error,
                hint="free space, or make the folder writable",
            ) from error

    @contextmanager
    def _connected(self) -> Iterator[sqlite3.Connection]:
        with closing(sqlite3.connect(self.path, timeout=30, isolation_level=None)) as connection:
            connection.row_factory = sqlite3.Row
            # A commit is on disk, and so is the folder's entry, before it returns.
            connection.execute("PRAGMA synchronous = EXTRA")
            yield connection

    def add(self, action: Action, seen: int) -> Event:
        """Keep an action. ``seen`` is the newest event of this reviewer on this item that the page knew.

        Raises:
            StaleError: there are newer ones, what is to be undone does not stand, or what is to be skipped
                has a vote; nothing was kept.
        """
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            try:
                event = _add(connection, action, seen)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        return event

    def history(self, stage: str, item: str | None = None) -> list[Event]:
        """All events of a stage in their order, or those of one item."""
        where = "" if item is None else " AND item = :item"
        return self._events(
            f"SELECT * FROM events WHERE stage = :stage{where} ORDER BY sequence", stage, item
        )

    def standing(self, stage: str) -> list[Event]:
        """The votes and skips that count: of each reviewer on each item the newest that was not undone."""
        return self._events(_STANDING, stage)

    def _events(self, query: str, stage: str, item: str | None = None) -> list[Event]:
        with self._connected() as connection:
            return [Event(**row) for row in connection.execute(query, {"stage": stage, "item": item})]

    def sample(self, stage: str) -> list[Drawn]:
        """The items that were drawn of a stage, in the order of the queue."""
        query = "SELECT item, position, stratum, probability FROM sample WHERE stage = ? ORDER BY position"
        with self._connected() as connection:
            return [Drawn(**row) for row in connection.execute(query, (stage,))]

    def keep_sample(self, stage: str, drawn: Iterable[Drawn]) -> None:
        """Add items to the sample of a stage; those that are in it stay as they are, but for their place."""
        rows = [(stage, each.item, each.position, each.stratum, each.probability) for each in drawn]
        with self._connected() as connection:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "INSERT INTO sample VALUES (?, ?, ?, ?, ?)"
                " ON CONFLICT DO UPDATE SET position = excluded.position",
                rows,
            )
            connection.execute("COMMIT")


def _add(connection: sqlite3.Connection, action: Action, seen: int) -> Event:
    """Check and insert, inside a transaction that nobody else can write beside."""
    known = connection.execute("SELECT * FROM events WHERE request = ?", (action.request,)).fetchone()
    if known is not None:
        return _repeated(connection, Event(**known), action)
    unseen = connection.execute(
        "SELECT * FROM events WHERE stage = ? AND item = ? AND reviewer = ? AND sequence > ?",
        (action.stage, action.item, action.reviewer, seen),
    ).fetchall()
    if unseen:
        raise StaleError([Event(**row) for row in unseen])
    if action.kind in ("undo", "skip"):
        standing = next(
            (
                Event(**row)
                for row in connection.execute(_STANDING, {"stage": action.stage})
                if (row["item"], row["reviewer"]) == (action.item, action.reviewer)
            ),
            None,
        )
        if action.kind == "undo" and (standing is None or standing.sequence != action.undoes):
            raise StaleError([])
        if action.kind == "skip" and standing is not None and standing.kind == "vote":
            raise StaleError([standing])
    time = datetime.now(UTC).isoformat(timespec="milliseconds")
    row = connection.execute(
        "INSERT INTO events (time, request, tab, reviewer, stage, item, kind, label, shown, note, undoes)"
        " VALUES (:time, :request, :tab, :reviewer, :stage, :item, :kind, :label, :shown, :note, :undoes)"
        " RETURNING *",
        {"time": time, **vars(action)},
    ).fetchone()
    return Event(**row)


def _repeated(connection: sqlite3.Connection, known: Event, action: Action) -> Event:
    """What was kept of an action that is sent again because its answer was lost; another note is added.

    Raises:
        StaleError: it is another action than before, or was undone since: a page out of the browser's memory.
    """
    undone = connection.execute("SELECT 1 FROM events WHERE undoes = ?", (known.sequence,)).fetchone()
    same = all(
        getattr(known, name) == getattr(action, name) for name in ("reviewer", "item", "kind", "label")
    )
    if undone is not None or not same:
        raise StaleError([known])
    if action.note is not None and action.note != known.note:
        # The same note sent once more is the same request, so that it is kept once too.
        request = str(uuid.uuid5(uuid.NAMESPACE_OID, f"{action.request} {action.note}"))
        note = replace(action, request=request, kind="note", label=None)
        if connection.execute("SELECT 1 FROM events WHERE request = ?", (request,)).fetchone() is None:
            _add(connection, note, known.sequence)
    return known
