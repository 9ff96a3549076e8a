"""The worker process of trainers: real processes, killed for real."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

import pytest

from jurist.errors import Interrupted, TrainingError
from jurist.selection import Selection, select
from jurist.train_jobs import Artifact, TrainJob, TrainProgress
from jurist.training.worker import TrainerWorker

TRAINERS = """
import os, signal, time
from jurist.contracts import Trainer
from jurist.train_jobs import Artifact, TrainProgress
from jurist.errors import TrainingError
from jurist.options import Options

class HowOptions(Options):
    how: str = "well"

class Odd(Trainer):
    Options = HowOptions
    consumes = "prompts"
    produces = "policy"

    def train(self, job, progress):
        print("training", self.options.how, flush=True)
        if self.options.how == "killed":
            os.kill(os.getpid(), signal.SIGKILL)
        if self.options.how == "wrong":
            raise TrainingError("loss is NaN", hint="continue from checkpoint-3")
        if self.options.how == "bug":
            raise KeyError("oops")
        if self.options.how == "slow":
            (job.output / "pid").write_text(str(os.getpid()))
            time.sleep(60)
        for step in range(1, 4):
            progress(TrainProgress(step=step, total=3, metrics={"loss": 1 / step}))
        return Artifact(kind="policy", path=job.output / "model", metrics={"pid": os.getpid()})
"""


@pytest.fixture
def job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainJob:
    (tmp_path / "odd_trainers.py").write_text(TRAINERS)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.syspath_prepend(str(tmp_path))
    return TrainJob(model=Path("m"), data=Path("d"), output=tmp_path / "out")


def trainer(source: Any, how: str) -> Selection:
    source.offer("trainer", "odd", "odd_trainers:Odd")
    return select("trainer", {"use": "odd", "how": how}, source)


async def train(
    worker: TrainerWorker, source: Any, job: TrainJob, how: str = "well"
) -> tuple[Artifact, list[TrainProgress]]:
    seen: list[TrainProgress] = []
    return await worker.train(trainer(source, how), job, seen.append), seen


async def test_a_job_runs_elsewhere_reports_progress_and_keeps_the_process_warm(
    source: Any, job: TrainJob
) -> None:
    worker = TrainerWorker()
    first, seen = await train(worker, source, job)
    second, _ = await train(worker, source, job)
    await worker.close()
    assert [update.step for update in seen] == [1, 2, 3]
    assert first.path == job.output / "model"
    assert first.metrics == second.metrics
    assert first.metrics["pid"] != os.getpid()
    assert (job.output / "train.log").read_text() == "training well\n" * 2


@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("wrong", "loss is NaN"),
        ("wrong", "continue from checkpoint-3"),
        ("bug", "KeyError: 'oops'"),
        ("killed", "died (SIGKILL)"),
        ("killed", "training killed"),
        ("killed", "train.log"),
    ],
)
async def test_whatever_ends_a_trainer_is_told(how: str, says: str, source: Any, job: TrainJob) -> None:
    worker = TrainerWorker()
    with pytest.raises(TrainingError) as caught:
        await train(worker, source, job, how)
    assert says in str(caught.value)
    assert "odd_trainers:Odd" in str(caught.value)
    artifact, _ = await train(worker, source, job)  # the next job works all the same
    await worker.close()
    assert artifact.kind == "policy"


async def test_a_stop_ends_the_job_and_says_why(source: Any, job: TrainJob) -> None:
    worker = TrainerWorker()
    task = asyncio.create_task(train(worker, source, job, "slow"))
    pid = await _written(job.output / "pid")
    worker.stop(Interrupted("enough"))
    with pytest.raises(Interrupted, match="enough"):
        await task
    assert not _alive(pid)


async def test_the_worker_ends_when_its_parent_is_killed(source: Any, job: TrainJob) -> None:
    script = textwrap.dedent(f"""
        import asyncio, sys
        from pathlib import Path
        from jurist.component import Component
        from jurist.selection import select
        from jurist.train_jobs import TrainJob
        from jurist.training.worker import TrainerWorker
        class Source:
            hooks = None
            def find(self, kind, name):
                return Component("odd", "odd_trainers:Odd", "").collected(kind, "test")
        job = TrainJob.model_validate_json({job.model_dump_json()!r})
        selection = select("trainer", {{"use": "odd", "how": "slow"}}, Source())
        asyncio.run(TrainerWorker().train(selection, job, print))
    """)
    parent = subprocess.Popen([sys.executable, "-c", script])
    pid = await _written(job.output / "pid")
    parent.kill()
    parent.wait()
    deadline = time.monotonic() + 10
    while _alive(pid) and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    assert not _alive(pid)


async def test_training_in_process(source: Any, job: TrainJob) -> None:
    artifact, seen = await train(TrainerWorker(in_process=True), source, job)
    assert artifact.metrics["pid"] == os.getpid()
    assert len(seen) == 3


async def _written(path: Path) -> int:
    deadline = time.monotonic() + 20
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline, f"{path} was never written"
        await asyncio.sleep(0.05)
    return int(path.read_text())


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"


async def test_a_training_in_this_process_stops_at_its_next_step(source: Any, job: TrainJob) -> None:
    worker = TrainerWorker(in_process=True)
    steps: list[int] = []

    def progress(update: TrainProgress) -> None:
        steps.append(update.step)
        if update.step == 2:
            worker.stop(Interrupted("stopped"))

    with pytest.raises(Interrupted, match="stopped"):
        await worker.train(trainer(source, "well"), job, progress)
    assert steps == [1, 2]
