"""The export that the review app does beside its pages."""

from __future__ import annotations

import logging
import threading
from concurrent.futures import Future, ProcessPoolExecutor, wait
from multiprocessing import get_context
from pathlib import Path

from jurist.errors import UsageError
from jurist_review.app.exporting import Exported, export_labels
from jurist_review.app.index import Index
from jurist_review.app.queue import Queue
from jurist_review.app.votes import Votes

_log = logging.getLogger("jurist_review")


class ExportJob:
    """Adds the labels to the run in ``folder``, one export at a time, each in a process of its own.

    With many comparisons it takes a minute, and memory.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._lock = threading.Lock()
        self._future: Future[Exported] | None = None

    @property
    def running(self) -> bool:
        """Whether labels are being added now."""
        return self._future is not None and not self._future.done()

    def start(self, stage: str) -> None:
        """Begin to add the labels of a stage; if that is going on already, nothing else happens."""
        with self._lock:
            if self.running:
                return
            pool = ProcessPoolExecutor(1, mp_context=get_context("spawn"))
            self._future = pool.submit(_export, self._folder, stage)
            self._future.add_done_callback(_note_failure)
            pool.shutdown(wait=False)  # it ends with this one

    def result(self, patience: float = 0.0) -> Exported | None:
        """What the last export wrote; None where there was none, or it is not done in ``patience`` seconds.

        Raises:
            UsageError: it could not be done.
        """
        future = self._future
        if future is None or wait([future], patience).not_done:
            return None
        error = future.exception()
        if error is None or isinstance(error, UsageError):
            return future.result()
        raise UsageError(
            "the labels could not be added to the run",
            provided_by="jurist-review",
            cause=error,
            hint="add them again; all votes are kept",
        ) from error


def _export(folder: Path, stage: str) -> Exported:
    """The work of the process."""
    votes = Votes(folder)
    queue = Queue(Index(folder), votes, stage)
    return export_labels(queue, votes, folder, folder / "review" / "labels.jsonl")


def _note_failure(future: Future[Exported]) -> None:
    error = future.exception()
    if error is not None and not isinstance(error, UsageError):
        _log.error("The labels could not be added to the run.", exc_info=error)
