"""What stops a training, told as an error that names what can be gone back to."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from safetensors import SafetensorError

from jurist.errors import TrainingError
from jurist.train_jobs import TrainJob
from jurist_trl.training.checkpoints import last_checkpoint

TOO_FAST = "lower learning_rate or raise warmup, and train anew in another output folder"


def failed(job: TrainJob, cause: str, hint: str) -> TrainingError:
    """The error of a training that cannot go on; names what can be gone back to."""
    last = last_checkpoint(job)
    kept = f"the last good checkpoint is {last}" if last else "no checkpoint was saved yet"
    return TrainingError(f"training stopped: {cause}; {kept}", provided_by="jurist-trl", hint=hint)


@contextmanager
def stopping(job: TrainJob) -> Iterator[None]:
    """Within it, running out of memory or of disk space stops the training with an error that says so."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise failed(
            job, "out of memory", "lower batch_size, or set lora or gradient_checkpointing"
        ) from error
    except (OSError, RuntimeError, SafetensorError) as error:
        if not _disk_full(error):
            raise
        hint = f"make room on the disk of {job.output} and run again: training continues"
        raise failed(job, "a file could not be written, the disk is full", hint) from error


def _disk_full(error: Exception) -> bool:
    """Whether this is what the writer of any kind of file says of a full disk."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    if isinstance(error, SafetensorError):
        return f"os error {errno.ENOSPC}" in str(error)
    return "iostream error" in f"{error} {error.__context__}"  # torch.save, which does not say why
