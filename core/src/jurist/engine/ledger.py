"""Ledger: every paid reply, durable and addressed by content.

A reply is committed before anyone may use it, so that after a crash nothing that was paid for is
asked again. Failures are written down beside the replies and never served as answers.
"""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType

from jurist.errors import UsageError
from jurist.records import NO_USAGE, Usage

_SCHEMA = """
CREATE TABLE IF NOT EXISTS replies (
    key TEXT PRIMARY KEY, component TEXT NOT NULL, reply TEXT NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL,
    usd REAL NOT NULL, seconds REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS failures (
    at REAL NOT NULL, key TEXT NOT NULL, component TEXT NOT NULL, error TEXT NOT NULL,
    usd REAL NOT NULL DEFAULT 0, tokens INTEGER NOT NULL DEFAULT 0
);
CREATE TABLE IF NOT EXISTS batches (
    name TEXT PRIMARY KEY, owner TEXT NOT NULL, begun REAL NOT NULL, batch TEXT, ended REAL
);
CREATE TABLE IF NOT EXISTS batch_requests (
    batch TEXT NOT NULL, request TEXT NOT NULL, key TEXT NOT NULL, choices TEXT NOT NULL,
    PRIMARY KEY (batch, request)
) WITHOUT ROWID;
"""

MOST = 2**53
"""The most dollars, tokens or seconds that are stored of one call: more is not counted exactly."""

_ADDED = (("usd", "REAL"), ("tokens", "INTEGER"))
"""Columns of ``failures`` that files of earlier versions do not have."""

_PUT = "INSERT INTO replies VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (key) DO NOTHING"


def possible(column: str) -> str:
    """SQL for what ``column`` says, or NULL where no call can have cost that; earlier versions stored it."""
    return f"CASE WHEN {column} BETWEEN 0 AND {MOST} THEN {column} END"


# TOTAL, since SUM raises an error when it overflows.
_TALLIES = f"""
SELECT component, COUNT(*), TOTAL({possible("prompt_tokens")}), TOTAL({possible("completion_tokens")}),
    TOTAL({possible("usd")}), TOTAL({possible("seconds")}),
    IFNULL(MAX({possible("usd")}), 0), IFNULL(MAX({possible("prompt_tokens + completion_tokens")}), 0)
FROM replies GROUP BY component"""


StoredReply = tuple[str, str, str, Usage]
"""A reply as it is kept: its key, the component, the reply as JSON, what it cost."""


@dataclass(frozen=True)
class Tally:
    """What one component's calls cost in all, and the most that one of them cost."""

    calls: int
    usage: Usage
    largest_usd: float
    largest_tokens: int


def tallies_of(connection: sqlite3.Connection) -> dict[str, Tally]:
    """What each component's calls cost, in the ledger that ``connection`` reads."""
    return {
        name: Tally(
            calls=calls,
            usage=Usage(
                prompt_tokens=int(prompt), completion_tokens=int(completion), usd=usd, seconds=seconds
            ),
            largest_usd=most_usd,
            largest_tokens=most_tokens,
        )
        for name, calls, prompt, completion, usd, seconds, most_usd, most_tokens in connection.execute(
            _TALLIES
        )
    }


def charged_of(connection: sqlite3.Connection, where: str = "", values: Sequence[str] = ()) -> Usage:
    """What failed tries cost, all or those that ``where`` picks; tokens of prompts and answers together.

    A ledger of a version that did not count it, read as it is, has no such columns.
    """
    if "usd" not in {row[1] for row in connection.execute("PRAGMA table_info(failures)")}:
        return NO_USAGE
    query = f"SELECT TOTAL(usd), TOTAL(tokens) FROM failures{where}"
    usd, tokens = connection.execute(query, values).fetchone()
    return Usage(usd=usd, prompt_tokens=int(tokens))


@dataclass(frozen=True)
class BatchEntry:
    """A batch as it is written down: our name of it, whose it is, when it was begun, what is in it.

    ``keys``: the id of each request in the batch → the key of the call; ``choices``: the choices of those
    that have some. ``batch`` is the provider's id of it, or None while it is not known whether the provider
    took it.
    """

    name: str
    owner: str
    begun: float
    keys: Mapping[str, str]
    choices: Mapping[str, tuple[str, ...]]
    batch: str | None = None


class Ledger:
    """The ledger in one file, open in one process at a time.

    Raises:
        UsageError: another process has it open, or the file cannot be read or written.
    """

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        self._lock = self._locked()
        try:
            with self._readable_errors("opened"):
                self._connection = _connect(self.path, patience=5)
                self._connection.execute("PRAGMA journal_mode = WAL")
                # A commit survives the death of the process; only power loss can undo the newest.
                self._connection.execute("PRAGMA synchronous = NORMAL")
                self._connection.executescript(_SCHEMA)
                self._add_columns()
        except UsageError:
            self._lock.close()
            raise

    @classmethod
    def open(cls, path: Path) -> Ledger:
        """Open the ledger at ``path``, making its folder first if need be."""
        try:
            Path(path).parent.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UsageError(f"The folder of {path} could not be made.", cause=error) from error
        return cls(path)

    def __enter__(self) -> Ledger:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _add_columns(self) -> None:
        known = {row[1] for row in self._connection.execute("PRAGMA table_info(failures)")}
        for name, kind in _ADDED:
            if name not in known:
                self._connection.execute(f"ALTER TABLE failures ADD {name} {kind} NOT NULL DEFAULT 0")

    def get(self, key: str) -> str | None:
        """The reply stored under ``key``, as JSON, or None."""
        try:  # not by the context manager: this is asked for every call
            row = self._connection.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
        except sqlite3.Error as error:
            raise self._trouble("read", error) from error
        return None if row is None else str(row[0])

    def put(self, key: str, component: str, reply_json: str, usage: Usage) -> None:
        """Store a reply; it is committed when this returns."""
        self.put_all([(key, component, reply_json, usage)])

    def put_all(self, replies: Sequence[StoredReply]) -> None:
        """Store replies; they are committed when this returns, all or none."""
        with self._readable_errors("written"), self._transaction() as connection:
            connection.executemany(_PUT, _rows(replies))

    def log_failure(self, key: str, component: str, error: str, usage: Usage | None = None) -> None:
        """Write down that a call failed, and what it cost if it did; the failure answers nothing."""
        prompt, completion, usd, _ = _cost(usage or NO_USAGE)
        values = (time.time(), key, component, error, usd, prompt + completion)
        with self._readable_errors("written"):
            self._connection.execute("INSERT INTO failures VALUES (?, ?, ?, ?, ?, ?)", values)

    def charged(self) -> Usage:
        """What all failed calls cost together, as far as is known."""
        with self._readable_errors("read"):
            return charged_of(self._connection)

    def failures(self) -> list[tuple[str, str]]:
        """Every failed call so far, oldest first, as component and error."""
        with self._readable_errors("read"):
            return self._connection.execute("SELECT component, error FROM failures ORDER BY rowid").fetchall()

    def begin_batch(self, entry: BatchEntry) -> None:
        """Write a batch down before it is handed in."""
        rows = [
            (entry.name, request, key, json.dumps(entry.choices.get(request, ())))
            for request, key in entry.keys.items()
        ]
        with self._readable_errors("written"), self._transaction() as connection:
            values = (entry.name, entry.owner, entry.begun)
            connection.execute("INSERT INTO batches (name, owner, begun) VALUES (?, ?, ?)", values)
            connection.executemany("INSERT INTO batch_requests VALUES (?, ?, ?, ?)", rows)

    def batch_taken(self, name: str, batch: str) -> None:
        """The provider took the batch and calls it ``batch``."""
        with self._readable_errors("written"):
            self._connection.execute("UPDATE batches SET batch = ? WHERE name = ?", (batch, name))

    def drop_batch(self, name: str) -> None:
        """The provider did not take the batch."""
        with self._readable_errors("written"), self._transaction() as connection:
            connection.execute("DELETE FROM batch_requests WHERE batch = ?", (name,))
            connection.execute("DELETE FROM batches WHERE name = ?", (name,))

    def end_batch(self, name: str, component: str, replies: Mapping[str, tuple[str, Usage]]) -> None:
        """Store what came of a batch (key → reply as JSON, usage) and strike it off, both or neither."""
        rows = _rows([(key, component, text, usage) for key, (text, usage) in replies.items()])
        with self._readable_errors("written"), self._transaction() as connection:
            connection.executemany(_PUT, rows)
            connection.execute("UPDATE batches SET ended = ? WHERE name = ?", (time.time(), name))
            connection.execute("DELETE FROM batch_requests WHERE batch = ?", (name,))

    def open_batches(self, owner: str) -> list[BatchEntry]:
        """The batches of ``owner`` that have not ended, oldest first."""
        with self._readable_errors("read"):
            batches = self._connection.execute(
                "SELECT name, begun, batch FROM batches WHERE owner = ? AND ended IS NULL ORDER BY begun",
                (owner,),
            ).fetchall()
            return [self._batch(name, owner, begun, batch) for name, begun, batch in batches]

    def _batch(self, name: str, owner: str, begun: float, batch: str | None) -> BatchEntry:
        rows = self._connection.execute(
            "SELECT request, key, choices FROM batch_requests WHERE batch = ?", (name,)
        ).fetchall()
        keys = {request: key for request, key, _ in rows}
        choices = {request: tuple(json.loads(text)) for request, _, text in rows if text != "[]"}
        return BatchEntry(name=name, owner=owner, begun=begun, keys=keys, choices=choices, batch=batch)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            yield self._connection
        except BaseException:
            if self._connection.in_transaction:  # a full disk has undone it by itself
                self._connection.execute("ROLLBACK")
            raise
        self._connection.execute("COMMIT")

    def totals(self) -> Usage:
        """What all calls in this ledger cost together."""
        return sum((tally.usage for tally in self.tallies().values()), start=Usage())

    def tallies(self) -> dict[str, Tally]:
        """What each component's calls cost."""
        with self._readable_errors("read"):
            return tallies_of(self._connection)

    def close(self) -> None:
        """Close the file and let other processes have it."""
        self._connection.close()
        self._lock.close()

    def _locked(self) -> sqlite3.Connection:
        """A lock held by the operating system, which lets go of it even when we are killed.

        It is an open transaction on an empty database beside the ledger: SQLite knows how to lock on
        every platform, forked children do not inherit the lock, and readers of the ledger are not kept out.
        A link to the ledger has the lock of the file that it leads to.
        """
        file = self.path.resolve()
        with self._readable_errors("locked"):
            lock = _connect(file.with_name(file.name + ".lock"), patience=0)
        try:
            lock.execute("BEGIN EXCLUSIVE")
        except sqlite3.Error as error:
            lock.close()
            if error.sqlite_errorname == "SQLITE_BUSY":
                raise UsageError(
                    f"{self.path} is in use by another process.",
                    hint="wait for the other run to end, stop it, or give this one another directory (--out)",
                ) from error
            with self._readable_errors("locked"):
                raise
        return lock

    @contextmanager
    def _readable_errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise self._trouble(what, error) from error

    def _trouble(self, what: str, error: sqlite3.Error) -> UsageError:
        return UsageError(
            f"{self.path} could not be {what}; everything stored in it before is kept.",
            cause=error,
            hint="free or enlarge the disk, check the permissions, and run the same command again",
        )


def _rows(replies: Sequence[StoredReply]) -> list[tuple[str | int | float, ...]]:
    return [(key, component, text, *_cost(usage)) for key, component, text, usage in replies]


def _cost(usage: Usage) -> tuple[int, int, float, float]:
    return usage.prompt_tokens, usage.completion_tokens, usage.usd, usage.seconds


def _connect(path: Path, *, patience: float) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=patience, isolation_level=None, check_same_thread=False)
