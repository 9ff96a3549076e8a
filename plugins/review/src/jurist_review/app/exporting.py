"""What reviewers found as files: labels for Jurist, and the history of every vote."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from jurist.errors import UsageError
from jurist.files.jsonl import write_lines
from jurist.validation.spot_check import SpotCheck, ToLabel
from jurist.validation.spot_check_result import SpotChecked
from jurist_review.app.agreement import consensus, labels_by_item
from jurist_review.app.listing import NOTHING, Hidden
from jurist_review.app.queue import Queue
from jurist_review.app.votes import Votes
from jurist_review.display import counted


@dataclass(frozen=True)
class Exported:
    """What an export wrote: ``labels`` rows to ``path``; of ``undecided`` items reviewers disagree."""

    path: Path
    labels: int
    undecided: int
    found: SpotChecked
    labels_file: Path


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
            cause=f"reviewers disagree on {counted(undecided, 'comparison')}" if undecided else None,
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
