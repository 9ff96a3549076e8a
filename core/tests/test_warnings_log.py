"""The log of a training's warnings, over the attempts that a training takes."""

from __future__ import annotations

import json
from pathlib import Path

from jurist.train_jobs import TrainProgress
from jurist.training.warnings_log import WarningsLog


def attempt(path: Path, *steps: int, warned_at: set[int]) -> list[int]:
    """The steps that the log has warnings of, after an attempt that went through these."""
    log = WarningsLog(path)
    for step in steps:
        if step in warned_at:
            log.add(TrainProgress(step=step, total=9, warning="responses are empty"))
        log.add(TrainProgress(step=step, total=9, metrics={"loss": 1.0}))
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def test_what_a_stopped_training_warns_of_again_is_in_the_log_once(tmp_path: Path) -> None:
    path = tmp_path / "warnings.jsonl"
    assert attempt(path, 1, 2, 3, 4, 5, warned_at={2, 4, 5}) == [2, 4, 5]
    assert attempt(path, 4, 5, 6, warned_at={4, 5}) == [2, 4, 5]  # from the checkpoint of step 3
    assert attempt(path, 1, 2, warned_at={2}) == [2]  # from the start


def test_a_finished_training_keeps_its_warnings(tmp_path: Path) -> None:
    path = tmp_path / "warnings.jsonl"
    attempt(path, 1, 2, warned_at={2})
    assert attempt(path, warned_at=set()) == [2]
