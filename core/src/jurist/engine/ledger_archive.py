"""LedgerArchive: the ledger of a run, looked at from outside, also while the run is going on."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from jurist.engine.ledger import Ledger, charged_of, possible
from jurist.engine.ledger_stats import LedgerStats
from jurist.errors import UsageError
from jurist.near_names import near_miss
from jurist.records import Usage
from jurist.run_files import LEDGER

_REPLIES = "SELECT key, component, reply, prompt_tokens, completion_tokens, usd, seconds FROM replies"
_FAILURES = "SELECT * FROM failures"  # files of earlier versions lack some columns
_COST = f"""
SELECT COUNT(*), CAST(TOTAL({possible("prompt_tokens")}) AS INTEGER),
    CAST(TOTAL({possible("completion_tokens")}) AS INTEGER), TOTAL({possible("usd")}),
    TOTAL({possible("seconds")})
FROM replies"""


@dataclass(frozen=True)
class Removal:
    """How many replies, failed tries or open batches pruning removes, and what replies or tries cost."""

    what: Literal["replies", "failures", "batches"]
    component: str | None
    count: int
    usage: Usage


class LedgerArchive:
    """The ledger in the folder of a run: counted, exported and pruned.

    Reading takes no lock and sees the ledger as it was at one moment. Pruning needs the ledger for itself.

    Raises:
        UsageError: the folder has no ledger.
    """

    def __init__(self, folder: Path) -> None:
        self.path = Path(folder) / LEDGER
        if not self.path.is_file():
            raise UsageError(f"{folder} is not the folder of a run: it has no {self.path.name}.")

    def stats(self) -> LedgerStats:
        """Everything in it, counted."""
        with self._reading() as connection:
            return LedgerStats.of(connection, self._size())

    def replies(self, component: str | None = None) -> Iterator[dict[str, Any]]:
        """Every reply, oldest first: its key, component, the reply as it was stored, and its usage.

        They come one by one, since there may be more than fit in memory.

        Raises:
            UsageError: no component is called so.
        """
        for key, name, reply, prompt, completion, usd, seconds in self._rows(_REPLIES, component):
            usage = Usage(prompt_tokens=prompt, completion_tokens=completion, usd=usd, seconds=seconds)
            try:
                said = json.loads(reply)
            except json.JSONDecodeError as error:
                raise UsageError(f"{self.path}: the reply {key} is no JSON.", cause=error) from error
            yield {"key": key, "component": name, "reply": said, "usage": usage.model_dump()}

    def failures(self, component: str | None = None) -> Iterator[dict[str, Any]]:
        """Every failed try, oldest first: ``at`` (seconds since 1970), key, component, error, usd, tokens.

        Raises:
            UsageError: no component is called so.
        """
        for row in self._rows(_FAILURES, component):
            yield dict(row)

    def prune(
        self,
        *,
        component: str | None = None,
        failures: bool = False,
        batches: bool = False,
        sure: Callable[[Removal], bool] = lambda removal: True,
    ) -> Removal | None:
        """Forget the replies of ``component``, or with ``failures`` the failed tries (of it, or of all).

        With ``batches`` those under way are given up: what comes of them is not taken, and their requests are
        asked anew.

        ``sure`` is told what will be removed, if there is anything, and decides; nobody else can have the
        ledger meanwhile. Gives what was removed: None when ``sure`` said no.

        Raises:
            UsageError: nothing to prune by, no component is called so, or a run has the ledger open.
        """
        if component is None and not (failures or batches):
            raise UsageError(
                "Nothing says what to prune.",
                hint="--component NAME for the replies of a component, --failures for failed tries, "
                "--batches for batches under way",
            )
        with (
            Ledger(self.path),
            self._readable_errors("pruned"),
            closing(sqlite3.connect(self.path, timeout=5, isolation_level=None)) as connection,
        ):
            where, values = (" WHERE ended IS NULL", ()) if batches else _condition(connection, component)
            removal = _removal(connection, component, failures, batches, where, values)
            if removal.count and not sure(removal):
                return None
            if batches:
                connection.execute("DELETE FROM batch_requests")  # those of ended batches are gone already
            connection.execute(f"DELETE FROM {removal.what}{where}", values)
            (unused,) = connection.execute("PRAGMA freelist_count").fetchone()
            if removal.count or unused:  # an earlier attempt may have had no room for it
                self._shrink(connection)
        return removal

    def _shrink(self, connection: sqlite3.Connection) -> None:
        """Give the space back."""
        try:
            connection.execute("VACUUM")
        except sqlite3.Error as error:
            raise UsageError(
                f"{self.path} was pruned, but could not be made smaller.",
                cause=error,
                hint="free as much space on the disk as it takes, then run the same command again",
            ) from error

    def _rows(self, query: str, component: str | None) -> Iterator[sqlite3.Row]:
        with self._reading() as connection:
            connection.row_factory = sqlite3.Row
            where, values = _condition(connection, component)
            yield from connection.execute(f"{query}{where} ORDER BY rowid", values)

    @contextmanager
    def _reading(self) -> Iterator[sqlite3.Connection]:
        """A connection that sees one moment, and leaves no file behind."""
        with self._readable_errors("read"):
            connection, watched = self._opened()
            with closing(connection):
                yield connection
                if not watched and self._log.exists():
                    raise UsageError(f"{self.path} was written while it was read.", hint="do it again")

    def _opened(self) -> tuple[sqlite3.Connection, bool]:
        """A connection, and whether SQLite watches over it that nobody's writing disturbs it.

        SQLite wants to write beside a file to do so. Where we may not, it must be told that nobody writes.
        """
        try:
            return self._begun("mode=rw"), True
        except sqlite3.OperationalError as error:
            unwritable = error.sqlite_errorname.startswith(("SQLITE_READONLY", "SQLITE_CANTOPEN"))
            if not unwritable or self._log.exists():
                raise
            return self._begun("immutable=1"), False

    def _begun(self, how: str) -> sqlite3.Connection:
        address = f"{self.path.resolve().as_uri()}?{how}"
        connection = sqlite3.connect(address, uri=True, timeout=5, isolation_level=None)
        try:
            connection.execute("PRAGMA query_only = ON")
            connection.execute("BEGIN")
            connection.execute("SELECT 1 FROM replies LIMIT 1").fetchone()  # only now the moment is fixed
        except sqlite3.Error:
            connection.close()
            raise
        return connection

    @property
    def _log(self) -> Path:
        """What is committed and not yet in the file itself; exists while somebody has the ledger open."""
        file = self.path.resolve()  # SQLite puts it beside the file that a link leads to
        return file.with_name(file.name + "-wal")

    def _size(self) -> int:
        return sum(path.stat().st_size for path in (self.path, self._log) if path.exists())

    @contextmanager
    def _readable_errors(self, what: str) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise UsageError(f"{self.path} could not be {what}.", cause=error) from error


def _condition(connection: sqlite3.Connection, component: str | None) -> tuple[str, tuple[str, ...]]:
    """What picks the rows of one component, which must be known, or of all."""
    if component is None:
        return "", ()
    known = "SELECT component FROM replies UNION SELECT component FROM failures"
    names = {str(name) for (name,) in connection.execute(known)}
    if component not in names:
        raise UsageError(f"no component in the ledger is called '{component}'{near_miss(component, names)}")
    return " WHERE component = ?", (component,)


def _removal(
    connection: sqlite3.Connection,
    component: str | None,
    failures: bool,
    batches: bool,
    where: str,
    values: tuple[str, ...],
) -> Removal:
    """What would be removed."""
    if batches:
        (open_ones,) = connection.execute(f"SELECT COUNT(*) FROM batches{where}").fetchone()
        return Removal("batches", None, open_ones, Usage())
    if failures:
        (tries,) = connection.execute(f"SELECT COUNT(*) FROM failures{where}", values).fetchone()
        return Removal("failures", component, tries, charged_of(connection, where, values))
    calls, prompt, completion, usd, seconds = connection.execute(f"{_COST}{where}", values).fetchone()
    usage = Usage(prompt_tokens=prompt, completion_tokens=completion, usd=usd, seconds=seconds)
    return Removal("replies", component, calls, usage)
