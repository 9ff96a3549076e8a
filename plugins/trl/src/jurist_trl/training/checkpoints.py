"""Which checkpoint to continue from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from jurist.errors import UsageError
from jurist.train_jobs import TrainJob

COMPLETE = "complete.json"  # written last, so a checkpoint cut short by a crash is never continued from


def checkpoint_folder(job: TrainJob) -> Path:
    """Where the resumable checkpoints of a job lie."""
    return job.output / "checkpoints"


def mark_complete(folder: Path, step: int, processes: int) -> None:
    """Say that everything of the checkpoint in ``folder`` is written, by each of the processes."""
    (folder / COMPLETE).write_text(json.dumps({"step": step, "processes": processes}), encoding="utf-8")


def last_checkpoint(job: TrainJob) -> Path | None:
    """The newest complete checkpoint of a job, if there is one."""
    folders = [marker.parent for marker in checkpoint_folder(job).glob(f"checkpoint-*/{COMPLETE}")]
    return max(folders, key=lambda folder: int(folder.name.rpartition("-")[2]), default=None)


def check_processes(folder: Path, processes: int) -> None:
    """See to it that as many processes go on as wrote the checkpoint: each has random states in it.

    Raises:
        UsageError: they are more or fewer; batches and random numbers would be others.
    """
    wrote = json.loads((folder / COMPLETE).read_text(encoding="utf-8")).get("processes", 1)
    if wrote != processes:
        raise UsageError(
            f"the checkpoint {folder} was written by {wrote} processes, and {processes} cannot continue it",
            provided_by="jurist-trl",
            hint=f"train in {wrote} processes, or remove {folder.parent} to begin anew",
        )


def drop_incomplete(job: TrainJob) -> None:
    """Remove checkpoints that a crash cut short."""
    for folder in checkpoint_folder(job).glob("checkpoint-*"):
        if not (folder / COMPLETE).is_file():
            shutil.rmtree(folder)
