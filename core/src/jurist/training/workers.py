"""Trainers run in a worker process: a crash there loses one attempt of one stage, not the run.

The parent writes one JSON job per line to the worker's standard input; the worker answers with JSON
lines on a pipe of their own, so that whatever a trainer prints goes to the stage's ``train.log``.
Consecutive stages share one warm worker, since importing a training stack takes seconds. The worker
ends when its input closes, so it never outlives the run.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from asyncio.subprocess import Process
from collections.abc import Callable
from typing import Any

from jurist.assembly import Selection
from jurist.contracts import Artifact, TrainJob, TrainProgress
from jurist.errors import Stopped, TrainingError

Progress = Callable[[TrainProgress], None]

_LOG_TAIL = 2000
"""How many characters of the log an error shows."""


class TrainerWorker:
    """One worker process, started when first needed.

    ``in_process``: train in this process instead, for notebooks and for trainers that are defined in
    the running program.
    """

    def __init__(self, *, in_process: bool = False) -> None:
        self._in_process = in_process
        self._process: Process | None = None
        self._events: asyncio.StreamReader | None = None
        self._reason: Stopped | None = None

    async def train(self, trainer: Selection, job: TrainJob, progress: Progress) -> Artifact:
        """Run one job to its end.

        Raises:
            TrainingError: the trainer stopped, or its process died; names the log.
        """
        if self._in_process:
            built: Any = trainer.implementation(trainer.options)
            artifact: Artifact = await asyncio.to_thread(built.train, job, progress)
            return artifact
        self._check_stopped()
        await self._start()
        self._check_stopped()
        try:
            return await self._run(trainer, job, progress)
        except asyncio.CancelledError:
            await self.close()
            raise

    def stop(self, reason: Stopped) -> None:
        """End the job that is running, if one is; :meth:`train` then raises ``reason``."""
        self._reason = reason
        if self._process is not None and self._process.returncode is None:
            self._process.terminate()

    async def close(self) -> None:
        """End the worker; a job that was running continues from its last checkpoint next time."""
        process, self._process = self._process, None
        if process is None or process.returncode is not None:
            return
        process.terminate()
        try:
            await asyncio.wait_for(process.wait(), timeout=10)
        except TimeoutError:
            process.kill()
            await process.wait()

    def _check_stopped(self) -> None:
        if self._reason is not None:
            raise self._reason

    async def _start(self) -> None:
        if self._process is not None and self._process.returncode is None:
            return
        read, write = os.pipe()
        self._process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "jurist.training.trainer_process", str(write)),
            stdin=asyncio.subprocess.PIPE,
            pass_fds=(write,),
            start_new_session=True,  # Ctrl-C reaches the run alone, which then ends the worker
        )
        os.close(write)
        self._events = asyncio.StreamReader(limit=2**24)
        await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(self._events),  # type: ignore[arg-type]
            os.fdopen(read, "rb"),
        )

    async def _run(self, trainer: Selection, job: TrainJob, progress: Progress) -> Artifact:
        assert self._process is not None
        assert self._process.stdin is not None
        assert self._events is not None
        options = {k: v for k, v in trainer.settings.items() if k not in ("use", "name", "limits", "batch")}
        line = {"target": trainer.component.target, "options": options, "job": job.model_dump(mode="json")}
        self._process.stdin.write(json.dumps(line).encode() + b"\n")
        await self._process.stdin.drain()
        while True:
            raw = await self._events.readline()
            if not raw:
                if self._reason is not None:
                    await self._process.wait()
                self._check_stopped()
                raise await self._died(trainer, job)
            event = json.loads(raw)
            if "progress" in event:
                progress(TrainProgress.model_validate(event["progress"]))
            elif "artifact" in event:
                return Artifact.model_validate(event["artifact"])
            else:
                raise TrainingError(
                    f"trainer '{trainer.label}' stopped: {event['error']}",
                    provided_by=trainer.component.provided_by,
                    cause=event.get("cause"),
                    hint=event.get("hint") or f"see {job.output / 'train.log'}",
                )

    async def _died(self, trainer: Selection, job: TrainJob) -> TrainingError:
        assert self._process is not None
        code = await self._process.wait()
        self._process = None
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        log = job.output / "train.log"
        tail = log.read_text(errors="replace")[-_LOG_TAIL:] if log.exists() else ""
        return TrainingError(
            f"the process of trainer '{trainer.label}' died ({how}).\n{tail}".rstrip(),
            provided_by=trainer.component.provided_by,
            cause="out of memory, or killed from outside" if how == "SIGKILL" else None,
            hint=f"see {log}; running again continues from the last checkpoint",
        )
