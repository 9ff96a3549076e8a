"""Labels and votes to and from files, without the app: what the options of the command do."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from jurist.errors import UsageError
from jurist_review.app.argilla import export_to_argilla, import_from_argilla
from jurist_review.app.desk import Desk, Sampling
from jurist_review.app.exporting import Exported, export_labels
from jurist_review.display import counted

Direction = Literal["export", "to-argilla", "from-argilla"]


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
        written = counted(export_to_argilla(queue, path), "comparison")
        return f"{path}: {written}; argilla.Dataset.from_disk('{path}') puts them on a server"
    if direction == "from-argilla":
        taken = import_from_argilla(queue, desk.votes, path)
        added, reviewers = counted(taken.added, "vote"), counted(taken.reviewers, "reviewer")
        return f"added {added} of {reviewers}, {taken.known:,} known before"
    return _told(export_labels(queue, desk.votes, run, path))


def _told(done: Exported) -> str:
    lines = [f"{done.path}: {counted(done.labels, 'label')}"]
    if done.undecided:
        lines.append(f"left out: {counted(done.undecided, 'comparison')} on which reviewers disagree")
    if done.found.accuracy is not None:
        share = done.found.accuracy
        lines.append(f"right, of all labels: {share.mean:.1%} [{share.low:.1%}, {share.high:.1%}]")
    lines.append(f"labels of people, with the votes of the jury: {done.labels_file}")
    return "\n".join(lines)
