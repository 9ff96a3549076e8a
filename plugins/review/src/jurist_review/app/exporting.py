"""What reviewers found as files: labels for Jurist, the history of every vote, and datasets of Argilla."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor, wait
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Literal

from jurist.errors import UsageError
from jurist.files.jsonl import write_lines
from jurist.validation.spot_check import SpotCheck, ToLabel
from jurist.validation.spot_check_result import SpotChecked
from jurist_review.app.agreement import consensus, labels_by_item
from jurist_review.app.argilla import export_to_argilla, import_from_argilla
from jurist_review.app.desk import Desk, Sampling
from jurist_review.app.index import Index
from jurist_review.app.listing import NOTHING, Hidden
from jurist_review.app.queue import Queue
from jurist_review.app.votes import Votes

_log = logging.getLogger("jurist_review")

Direction = Literal["export", "to-argilla", "from-argilla"]


@dataclass(frozen=True)
class Exported:
    """What an export wrote: ``labels`` rows to ``path``; of ``undecided`` items reviewers disagree."""

    path: Path
    labels: int
    undecided: int
    found: SpotChecked
    labels_file: Path


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


def exchange(run: Path, sampling: Sampling, direction: Direction, path: Path) -> str:
    """Export labels, or exchange the sample and its votes with Argilla; returns what was done, for people.

    Raises:
        UsageError: there is nothing to exchange, or files are faulty.
    """
    desk = Desk(run, sampling)
    desk.catch_up()
    queue = desk.queue()
    if queue is None:
        raise UsageError(
            f"{run} has no labels that could be reviewed",
            provided_by="jurist-review",
            cause=desk.trouble or None,
            hint="finish the run first",
        )
    if direction == "to-argilla":
        count = export_to_argilla(queue, path)
        return f"{path}: {count:,} comparisons; argilla.Dataset.from_disk('{path}') puts them on a server"
    if direction == "from-argilla":
        taken = import_from_argilla(queue, desk.votes, path)
        return f"{taken.added:,} votes of {taken.reviewers:,} reviewers added, {taken.known:,} known before"
    return _told(export_labels(queue, desk.votes, run, path))


def _told(done: Exported) -> str:
    lines = [f"{done.path}: {done.labels:,} labels"]
    if done.undecided:
        lines.append(f"left out: {done.undecided:,} comparisons on which reviewers disagree")
    if done.found.accuracy is not None:
        share = done.found.accuracy
        lines.append(f"right, of all labels: {share.mean:.1%} [{share.low:.1%}, {share.high:.1%}]")
    lines.append(f"labels of people, with the votes of the jury: {done.labels_file}")
    return "\n".join(lines)


def label_rows(queue: Queue, votes: Votes, hidden: Hidden = NOTHING) -> tuple[list[ToLabel], int]:
    """A row for each item that most of its reviewers gave one label, and how many have no such label.

    Items that are ``hidden`` have no row: it would tell their stratum, and how others voted.
    """
    agreed = consensus(labels_by_item(votes.standing(queue.stage)))
    labelled = [(each, agreed[each.item]) for each in queue.drawn() if each.item in agreed]
    rows = [
        queue.to_label(each, label)
        for each, label in labelled
        if label is not None and not hidden.holds_item(each.item)
    ]
    return rows, sum(label is None for _, label in labelled)


def export_labels(queue: Queue, votes: Votes, folder: Path, path: Path) -> Exported:
    """Write the labels to ``path``, as rows of a spot check, and add them to the labels of the run.

    Raises:
        UsageError: there is nothing to export, or a file cannot be written.
    """
    rows, undecided = label_rows(queue, votes)
    if not rows:
        raise UsageError(
            "there are no labels to export yet",
            cause=f"reviewers disagree on {undecided} comparisons" if undecided else None,
            hint=f"jurist review {folder}",
        )
    with write_lines(path) as lines:
        for row in rows:
            lines.write(row.to_json())
    check = SpotCheck(folder, queue.stage)
    found = check.import_labels(path)
    return Exported(path, len(rows), undecided, found, check.labels_file)


def history_lines(votes: Votes, stage: str, reviewer: str, hidden: Hidden) -> Iterator[str]:
    """Every event of a stage as a line of JSON, oldest first; of ``hidden`` items only the reviewer's own."""
    for event in votes.history(stage):
        if event.reviewer == reviewer or not hidden.holds_item(event.item):
            yield json.dumps(vars(event), ensure_ascii=False) + "\n"
