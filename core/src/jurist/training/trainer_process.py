"""A process that trains: ``python -m`` takes the path of the run's socket; ``torchrun`` starts several."""

from __future__ import annotations

import gc
import importlib
import os
import sys
import traceback
from typing import Any

from jurist.contracts import Trainer
from jurist.errors import JuristError, TrainingError
from jurist.train_jobs import TrainJob, TrainProgress
from jurist.training.channel import Channel


def main() -> None:
    """Run jobs until the connection closes."""
    channel = Channel(sys.argv[1])
    rank = int(os.environ["RANK"]) if _world() > 1 else 0
    channel.send({"rank": rank, "world": _world()})
    while True:
        channel.send(_work(channel.next_job(), channel))
        gc.collect()  # finished networks hang in cycles; the next training needs their memory


def _work(line: dict[str, Any], channel: Channel) -> dict[str, Any]:
    job = TrainJob.model_validate(line["job"])
    _log_to(job)

    def progress(update: TrainProgress) -> None:
        _check_joined()
        channel.send({"progress": update.model_dump()})

    try:
        module, _, name = line["target"].partition(":")
        trainer_class: type[Trainer] = getattr(importlib.import_module(module), name)
        trainer = trainer_class(trainer_class.Options.model_validate(line["options"]))
        for which in line["scores"]:
            setattr(trainer, which, channel.scores(which))
        artifact = trainer.train(job, progress)
        _check_joined()
        return {"artifact": artifact.model_dump(mode="json")}
    except JuristError as error:
        traceback.print_exc()
        return {"error": error.what, "cause": error.cause, "hint": error.hint}
    except Exception as error:
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}", "cause": None, "hint": None}


def _world() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def _check_joined() -> None:
    """See to it that several processes train one model together, and not each a model of its own.

    Raises:
        TrainingError: they do not.
    """
    if _world() == 1:
        return
    distributed = sys.modules.get("torch.distributed")  # loaded by a trainer that joined
    joined = distributed.get_world_size() if distributed and distributed.is_initialized() else 1
    if joined != _world():
        raise TrainingError(
            f"{_world()} processes were started, and the trainer uses {joined}",
            hint="set 'processes: 1', or use a trainer that joins them with torch.distributed",
        )


def _log_to(job: TrainJob) -> None:
    """Send everything that is printed, also by native code, to the stage's log."""
    job.output.mkdir(parents=True, exist_ok=True)
    log = os.open(job.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


if __name__ == "__main__":
    main()
