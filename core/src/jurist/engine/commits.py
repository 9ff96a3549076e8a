"""Commits: replies that come in the same moment are stored together.

A commit costs more than what is in it. Under load several replies arrive at each turn of the event loop,
and one commit does for all of them; nobody sees a reply before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from jurist.engine.ledger import Ledger, StoredReply
from jurist.errors import UsageError


class Commits:
    """Stores the replies of one turn of the event loop in one commit; ``failed`` is told if it cannot."""

    def __init__(self, ledger: Ledger, failed: Callable[[UsageError], None]) -> None:
        self._ledger = ledger
        self._failed = failed
        self._waiting: list[tuple[StoredReply, asyncio.Future[None]]] = []

    def store(self, reply: StoredReply) -> asyncio.Future[None]:
        """Store a reply; it is committed when the future is done, or raises UsageError if that failed."""
        loop = asyncio.get_running_loop()
        if not self._waiting:
            loop.call_soon(self._commit)
        committed = loop.create_future()
        self._waiting.append((reply, committed))
        return committed

    def _commit(self) -> None:
        waiting, self._waiting = self._waiting, []
        fault: Exception | None = None
        try:
            self._ledger.put_all([reply for reply, _ in waiting])
        except Exception as error:  # those who wait must be told, whatever it was
            fault = error
            if isinstance(error, UsageError):
                self._failed(error)
        for _, committed in waiting:
            if committed.done():
                continue  # who waited was cancelled
            if fault is None:
                committed.set_result(None)
            else:
                committed.set_exception(fault)
