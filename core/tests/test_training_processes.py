"""A trainer in two processes that torchrun starts: both are answered, and both end, whatever happens."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest

from jurist.errors import JuristError, TrainingError, UsageError
from jurist.preflight import check
from jurist.recipe import Recipe
from jurist.run import run
from jurist.run_directory import Run

HERE = Path(__file__).parent

needs_torch = pytest.mark.skipif(find_spec("torch") is None, reason="torch comes with jurist-trl")


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setenv("PYTHONPATH", str(HERE))


@pytest.fixture
def settings(write_rows: Any) -> Any:
    def made(how: str = "well", **stage: Any) -> dict[str, Any]:
        trainer = {"use": "together", "how": how}
        train = {"stage": "train", "trainer": trainer, "scorers": ["length"], "processes": 2, **stage}
        return {
            "prompts": write_rows("a", "b", "c", "d"),
            "policy": {"use": "remote", "model": "start"},
            "stages": [train],
        }

    return made


def carry_out(settings: dict[str, Any], folder: Path, **options: Any) -> Run:
    from scored_training import Source

    return run(Recipe.of(settings), folder, Source(), **options)


def pids(folder: Path) -> list[int]:
    return [int((folder / "stages" / "01-train" / f"pid.{rank}").read_text()) for rank in (0, 1)]


@pytest.mark.slow
@needs_torch
def test_two_processes_train_one_model_and_each_is_answered(settings: Any, tmp_path: Path) -> None:
    done = carry_out(settings(), tmp_path / "run")
    # 1 character once in the first process, 2 twice in the second; both know the sum, the first one's counts.
    assert done.stages[0].summary["metrics"] == {"total": 1.0 + 2 * 2.0, "rank": 0.0}
    assert done.stages[0].summary["scores"]["score"]["responses"] == 3
    log = (tmp_path / "run" / "stages" / "01-train" / "train.log").read_text()
    assert {"rank 0 of 2", "rank 1 of 2"} <= set(log.splitlines())
    assert "Traceback" not in log
    assert not any(map(_alive, pids(tmp_path / "run")))


@pytest.mark.slow
@needs_torch
@pytest.mark.parametrize(
    ("how", "says"),
    [
        ("killed", ["process 1 of 2 of trainer 'together' died (SIGKILL)", "rank 0 of 2", "out of memory"]),
        ("wrong", ["trainer 'together' stopped: loss is NaN", "continue from checkpoint-3"]),
        ("apart", ["2 processes were started, and the trainer uses 1", "processes: 1"]),
    ],
)
def test_when_one_process_ends_all_end_and_it_is_told_why(
    how: str, says: list[str], settings: Any, tmp_path: Path
) -> None:
    with pytest.raises(TrainingError) as caught:
        carry_out(settings(how), tmp_path / "run")
    for part in says:
        assert part in str(caught.value)
    assert "elastic" not in str(caught.value)
    assert not any(map(_alive, pids(tmp_path / "run")))


@pytest.mark.slow
@needs_torch
@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_when_the_run_is_ended_so_are_all_processes(
    number: signal.Signals, code: int, settings: Any, tmp_path: Path
) -> None:
    (tmp_path / "recipe.json").write_text(json.dumps(settings("slow")))
    process = subprocess.Popen(
        [sys.executable, HERE / "scored_training.py", tmp_path / "recipe.json", tmp_path / "run"]
    )
    deadline = time.monotonic() + 90
    while not (tmp_path / "run" / "stages" / "01-train" / "pid.1").exists():
        assert time.monotonic() < deadline
        assert process.poll() is None
        time.sleep(0.05)
    time.sleep(3)  # by now one waits for the other
    ours = [*pids(tmp_path / "run"), *_children(process.pid)]
    assert len(ours) == 3
    assert all(map(_alive, ours))
    process.send_signal(number)
    assert process.wait(timeout=20) == code
    deadline = time.monotonic() + 10
    while any(map(_alive, ours)) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not any(map(_alive, ours))


def test_several_processes_need_torch(settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from scored_training import Source

    monkeypatch.setattr("jurist.stages.train.find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"stages\.train\.processes: more than one need torch"):
        check(Recipe.of(settings()), Source())


@needs_torch
def test_several_processes_are_no_threads_of_this_one(settings: Any, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="2 processes cannot train in this one"):
        carry_out(settings(), tmp_path / "run", in_process=True)


def test_an_environment_of_another_launcher_is_refused(
    settings: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "8")
    monkeypatch.setenv("RANK", "3")
    with pytest.raises(JuristError, match="WORLD_SIZE is 8, but the recipe says 'processes: 1'"):
        carry_out(settings(processes=1), tmp_path / "run")


def _children(pid: int) -> list[int]:
    found = Path(f"/proc/{pid}/task/{pid}/children").read_text()
    return [int(child) for child in found.split()]


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
