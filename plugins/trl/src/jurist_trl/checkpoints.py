"""Which checkpoint to continue from."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from jurist.contracts import TrainJob

COMPLETE = "complete.json"  # written last, so a checkpoint cut short by a crash is never continued from


def checkpoint_folder(job: TrainJob) -> Path:
    """Where the resumable checkpoints of a job lie."""
    return job.output / "checkpoints"


def mark_complete(folder: Path, step: int) -> None:
    """Say that everything of the checkpoint in ``folder`` is written."""
    (folder / COMPLETE).write_text(json.dumps({"step": step}), encoding="utf-8")


def last_checkpoint(job: TrainJob) -> Path | None:
    """The newest complete checkpoint of a job, if there is one."""
    folders = [marker.parent for marker in checkpoint_folder(job).glob(f"checkpoint-*/{COMPLETE}")]
    return max(folders, key=lambda folder: int(folder.name.rpartition("-")[2]), default=None)


def drop_incomplete(job: TrainJob) -> None:
    """Remove checkpoints that a crash cut short."""
    for folder in checkpoint_folder(job).glob("checkpoint-*"):
        if not (folder / COMPLETE).is_file():
            shutil.rmtree(folder)
