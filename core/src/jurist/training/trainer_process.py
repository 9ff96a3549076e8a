"""The worker's side of :mod:`jurist.training.workers`; ``python -m`` takes the number of its events pipe."""

from __future__ import annotations

import importlib
import json
import os
import queue
import sys
import threading
import traceback
from typing import IO, Any

from jurist.contracts import Trainer, TrainJob, TrainProgress
from jurist.errors import JuristError


def main() -> None:
    """Run jobs from standard input until it closes."""
    jobs: queue.SimpleQueue[str] = queue.SimpleQueue()
    threading.Thread(target=_read_jobs, args=(jobs,), daemon=True).start()
    with os.fdopen(int(sys.argv[1]), "w", encoding="utf-8") as events:
        while True:
            _send(events, _work(json.loads(jobs.get()), events))


def _read_jobs(jobs: queue.SimpleQueue[str]) -> None:
    """Hand on jobs; when the parent is gone, end at once, whatever a trainer is doing."""
    for line in sys.stdin:
        jobs.put(line)
    os._exit(0)


def _work(line: dict[str, Any], events: IO[str]) -> dict[str, Any]:
    job = TrainJob.model_validate(line["job"])
    _log_to(job)

    def progress(update: TrainProgress) -> None:
        _send(events, {"progress": update.model_dump()})

    try:
        module, _, name = line["target"].partition(":")
        trainer_class: type[Trainer] = getattr(importlib.import_module(module), name)
        trainer = trainer_class(trainer_class.Options.model_validate(line["options"]))
        return {"artifact": trainer.train(job, progress).model_dump(mode="json")}
    except JuristError as error:
        traceback.print_exc()
        return {"error": error.what, "cause": error.cause, "hint": error.hint}
    except Exception as error:
        traceback.print_exc()
        return {"error": f"{type(error).__name__}: {error}", "cause": None, "hint": None}


def _log_to(job: TrainJob) -> None:
    """Send everything that is printed, also by native code, to the stage's log."""
    job.output.mkdir(parents=True, exist_ok=True)
    log = os.open(job.output / "train.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(log, 1)
    os.dup2(log, 2)
    os.close(log)


def _send(events: IO[str], event: dict[str, Any]) -> None:
    events.write(json.dumps(event) + "\n")
    events.flush()


if __name__ == "__main__":
    main()
