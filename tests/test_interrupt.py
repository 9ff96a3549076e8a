"""Ctrl-C: once lets calls in flight finish, twice ends at once; in both cases the same command goes on."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jurist.engine.ledger import Ledger

Rows = Callable[[Path], list[Any]]
Start = Callable[..., "subprocess.Popen[bytes]"]
Environment = dict[str, str]

PROMPTS = 40
RECIPE = """
prompts: prompts.jsonl
stages: [{stage: compare, generator: counting, judges: [counting], orders: one}]
"""


class Command:
    """The command on one recipe, whose calls are lines of a file."""

    def __init__(self, folder: Path, start: Start, environment: Environment) -> None:
        self._folder = folder
        self._start = start
        self._environment = environment
        lines = [json.dumps({"prompt": f"question {number}"}) for number in range(PROMPTS)]
        (folder / "prompts.jsonl").write_text("\n".join(lines), encoding="utf-8")
        (folder / "recipe.yaml").write_text(RECIPE, encoding="utf-8")
        self.run = folder / "run"

    def begin(self, delay: float) -> subprocess.Popen[bytes]:
        environment = {
            **self._environment,
            "COUNTING_LOG": str(self._folder / "calls.log"),
            "COUNTING_DELAY": str(delay),
        }
        return self._start("run", "recipe.yaml", "--out", self.run, environment=environment, cwd=self._folder)

    def calls(self) -> list[str]:
        log = self._folder / "calls.log"
        return log.read_text().splitlines() if log.exists() else []

    def kept(self) -> int:
        with Ledger(self.run / "ledger.sqlite") as ledger:
            return sum(tally.calls for tally in ledger.tallies().values())

    def said(self) -> str:
        return (self._folder / "command.log").read_text()

    def status(self) -> str:
        return str(json.loads((self.run / "run.json").read_text())["status"])

    def begin_and_wait_for(self, count: int, delay: float) -> subprocess.Popen[bytes]:
        process = self.begin(delay)
        deadline = time.monotonic() + 30
        while len(self.calls()) < count:
            assert process.poll() is None, self.said()
            assert time.monotonic() < deadline
            time.sleep(0.01)
        return process


@pytest.fixture
def command(tmp_path: Path, start: Start, counting: Environment) -> Command:
    return Command(tmp_path, start, counting)


def finished(command: Command, rows: Rows) -> None:
    assert command.begin(0).wait(timeout=30) == 0, command.said()
    assert command.status() == "done"
    assert len(rows(command.run / "stages" / "01-compare" / "judgments.jsonl")) == PROMPTS


def test_once_lets_calls_in_flight_finish_and_loses_none(command: Command, rows: Rows) -> None:
    process = command.begin_and_wait_for(6, delay=0.5)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=10) == 130, command.said()
    made = command.calls()
    assert len(made) < 3 * PROMPTS
    assert command.kept() == len(made)
    assert command.status() == "interrupted"
    assert "run the same command again to continue" in command.said()
    assert "Traceback" not in command.said()
    finished(command, rows)
    assert len(command.calls()) == len(set(command.calls())) == 3 * PROMPTS


def test_twice_ends_at_once_and_keeps_what_was_answered(command: Command, rows: Rows) -> None:
    process = command.begin_and_wait_for(4, delay=60)
    process.send_signal(signal.SIGINT)
    time.sleep(0.3)
    assert process.poll() is None  # it waits for the calls in flight
    process.send_signal(signal.SIGINT)
    pressed = time.monotonic()
    assert process.wait(timeout=10) == 130, command.said()
    assert time.monotonic() - pressed < 5
    assert command.kept() == 0
    assert command.status() == "interrupted"
    assert "Traceback" not in command.said()
    finished(command, rows)
    repeated = len(command.calls()) - len(set(command.calls()))
    assert repeated == 4
    assert len(set(command.calls())) == 3 * PROMPTS


@pytest.mark.slow
def test_training_ends_at_once_and_goes_on_from_its_checkpoint(
    start: Start, environment: Environment, tmp_path: Path
) -> None:
    (tmp_path / "recipe.yaml").write_text(
        """
prompts: {path: "package:jurist_demo/prompts/train.jsonl", limit: 24}
constitution: package:jurist_demo/constitution.yaml
policy: {use: hf, model: "package:jurist_demo/model"}
stages:
  - {stage: compare, sampling: {max_tokens: 32}, judges: [demo-strict]}
  - stage: train
    name: reward
    trainer: {use: trl-reward, batch_size: 2, max_steps: 100, save_steps: 2}
""",
        encoding="utf-8",
    )
    command = ("run", "recipe.yaml", "--out", tmp_path / "run")
    folder = tmp_path / "run" / "stages" / "02-reward"

    def log() -> str:
        return (tmp_path / "command.log").read_text()

    process = start(*command, environment=environment, cwd=tmp_path)
    deadline = time.monotonic() + 60
    while not list(folder.glob("checkpoints/checkpoint-*/complete.json")):
        assert process.poll() is None, log()
        assert time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    assert process.wait(timeout=15) == 130, log()
    assert "Traceback" not in log()
    done = max(json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines())
    assert done < 100

    again = start(*command, environment=environment, cwd=tmp_path)
    assert again.wait(timeout=120) == 0, log()
    steps = [json.loads(line)["step"] for line in (folder / "metrics.jsonl").read_text().splitlines()]
    assert steps == list(range(1, 101))
