"""Trainers run in processes of their own: a crash there loses one attempt of one stage, not the run.

A job goes to the processes as one line of JSON over a socket, and their events come back on it, so that
whatever a trainer prints goes to the stage's ``train.log``. Where a trainer asks for scores, the run answers
over the same socket. Consecutive stages of one process share it, since importing a training stack takes
seconds.
"""

from __future__ import annotations

import asyncio
import re
import signal
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, cast

from jurist.component import COMMON_SETTINGS
from jurist.contracts import Trainer
from jurist.errors import TrainingError, UsageError
from jurist.selection import Selection
from jurist.train_jobs import Artifact, ScoreResponses, TrainJob, TrainProgress
from jurist.training.channel import Messages, Which
from jurist.training.processes import TrainerProcesses

Progress = Callable[[TrainProgress], None]
Score = Callable[[Sequence[Messages], Sequence[str]], Coroutine[Any, Any, list[float | None]]]
"""Scores responses to prompts."""

Scores = Mapping[Which, Score]
"""What scores responses for a trainer, by the attribute under which the trainer finds it."""

_LOG_TAIL = 2000
"""How many characters of the log an error shows."""

_TORCHRUN = re.compile(r"^(?:W\d{4} .*\n)*E\d{4} .*\] failed \(exitcode: (?P<code>-?\d+)\)", re.MULTILINE)
"""What ``torchrun`` writes to the log when a process has died."""


class TrainerWorker:
    """One process, or as many as a job wants, started when first needed.

    ``in_process``: train in this process instead, for notebooks and for trainers that are defined in
    the running program.
    """

    def __init__(self, *, in_process: bool = False) -> None:
        self._in_process = in_process
        self._processes: TrainerProcesses | None = None
        self._reason: Exception | None = None

    async def train(
        self,
        trainer: Selection,
        job: TrainJob,
        progress: Progress,
        scores: Scores | None = None,
        processes: int = 1,
    ) -> Artifact:
        """Run one job to its end, in so many processes.

        What the trainer wants scored is asked of ``scores`` meanwhile; an error there ends the job.

        Raises:
            TrainingError: the trainer stopped, or a process died; names the log.
        """
        self._check_stopped()
        scores = scores or {}
        if self._in_process:
            return await self._train_here(trainer, job, progress, scores, processes)
        try:
            started = await self._started(processes, job)
            self._check_stopped()
            artifact = await self._run(started, trainer, job, progress, scores)
        except BaseException:
            if self._processes is not None:
                self._processes.terminate()  # at once, whatever they are doing
            await self.close()
            raise
        if processes > 1:
            await self.close()
        return artifact

    def stop(self, reason: Exception) -> None:
        """End the job that is running, if one is; :meth:`train` then raises the first reason given."""
        self._reason = self._reason or reason
        if self._processes is not None:
            self._processes.terminate()

    async def close(self) -> None:
        """End the processes; a job that was running continues from its last checkpoint next time."""
        processes, self._processes = self._processes, None
        if processes is not None:
            await processes.close()

    def _check_stopped(self) -> None:
        if self._reason is not None:
            raise self._reason

    async def _started(self, count: int, job: TrainJob) -> TrainerProcesses:
        """The process that is there, or new ones; of several, the log has all that they print."""
        if count > 1 or self._processes is None or not self._processes.alive:
            await self.close()
            self._processes = TrainerProcesses(count, job.log if count > 1 else None)
            await self._processes.start()
        return self._processes

    async def _run(
        self,
        processes: TrainerProcesses,
        trainer: Selection,
        job: TrainJob,
        progress: Progress,
        scores: Scores,
    ) -> Artifact:
        options = {k: v for k, v in trainer.settings.items() if k not in COMMON_SETTINGS}
        what = {"target": trainer.component.target, "options": options, "scores": list(scores)}
        await processes.send({"job": {**what, "job": job.model_dump(mode="json")}})
        artifacts: dict[int, Artifact] = {}
        answering: set[asyncio.Task[None]] = set()
        try:
            while len(artifacts) < processes.count:
                received = await processes.receive()
                if received is None:
                    self._check_stopped()
                    raise await _died(processes, trainer, job)
                rank, event = received
                if "progress" in event and rank == 0:
                    progress(TrainProgress.model_validate(event["progress"]))
                elif "score" in event:
                    task = asyncio.create_task(self._answer(processes, rank, event["score"], scores))
                    answering.add(task)
                    task.add_done_callback(answering.discard)
                elif "artifact" in event:
                    artifacts[rank] = Artifact.model_validate(event["artifact"])
                elif "error" in event:
                    died = await processes.one_died()
                    raise await _died(processes, trainer, job) if died else _stopped(trainer, job, event)
        finally:
            for task in answering:
                task.cancel()
            await asyncio.gather(*answering, return_exceptions=True)
        return artifacts[0]

    async def _answer(
        self, processes: TrainerProcesses, rank: int, asked: dict[str, Any], scores: Scores
    ) -> None:
        """Have responses scored, and tell the process that asked; an error ends the job."""
        try:
            values = await scores[asked["which"]](asked["prompts"], asked["responses"])
        except Exception as error:
            self.stop(error)
        else:
            await processes.send({"scores": {"id": asked["id"], "values": values}}, rank)

    async def _train_here(
        self, trainer: Selection, job: TrainJob, progress: Progress, scores: Scores, processes: int
    ) -> Artifact:
        """Train in a thread of this process; an error of scoring is raised, whatever it makes of it."""
        if processes > 1:
            raise UsageError(f"{processes} processes cannot train in this one", hint="set 'processes: 1'")
        loop = asyncio.get_running_loop()
        errors: list[Exception] = []

        def plain(score: Score) -> ScoreResponses:
            def ask(prompts: Sequence[Messages], responses: Sequence[str]) -> list[float | None]:
                if errors:
                    raise errors[0]
                try:
                    return asyncio.run_coroutine_threadsafe(score(prompts, responses), loop).result()
                except Exception as error:
                    errors.append(error)
                    raise

            return ask

        def told(update: TrainProgress) -> None:
            self._check_stopped()  # a thread cannot be ended from outside; here the trainer lets it be
            progress(update)

        built = cast(Trainer, trainer.implementation(trainer.options))
        for which, score in scores.items():
            setattr(built, which, plain(score))
        try:
            artifact: Artifact = await asyncio.to_thread(built.train, job, told)
        finally:
            self._check_stopped()
            if errors:
                raise errors[0]
        return artifact


def _stopped(trainer: Selection, job: TrainJob, event: dict[str, Any]) -> TrainingError:
    return TrainingError(
        f"trainer '{trainer.label}' stopped: {event['error']}",
        provided_by=trainer.component.provided_by,
        cause=event["cause"],
        hint=event["hint"] or f"see {job.log}",
    )


async def _died(processes: TrainerProcesses, trainer: Selection, job: TrainJob) -> TrainingError:
    rank = processes.first_gone
    code = await processes.ended()
    who = "the process" if processes.count == 1 else f"process {rank} of {processes.count}"
    said = job.log.read_text(errors="replace") if job.log.exists() else ""
    for report in [*_TORCHRUN.finditer(said)][-1:]:  # the last, where earlier attempts died as well
        code, said = int(report["code"]), said[: report.start()]
    how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return TrainingError(
        f"{who} of trainer '{trainer.label}' died ({how}).\n{said[-_LOG_TAIL:]}".rstrip(),
        provided_by=trainer.component.provided_by,
        cause="out of memory, or killed from outside" if how == "SIGKILL" else None,
        hint=f"see {job.log}; running again continues from the last checkpoint",
    )
