"""The log of a training's metrics: what a resumed training finds in it, and goes on from."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from jurist.training.metrics_log import MetricsLog, lines_up_to


def steps(path: Path) -> list[int]:
    return [json.loads(line)["step"] for line in path.read_text().splitlines()]


def test_the_newest_measurement_is_remembered_by_a_resumed_log(tmp_path: Path) -> None:
    log = MetricsLog(tmp_path / "metrics.jsonl", 0)
    log.append(0, {"held_out_metric": 7.0, "held_out_missing": 0.0})
    log.append(1, {"loss": 1.0, "held_out_missing": 5.0})
    log.append(2, {"loss": 2.0})
    expected = {"loss": 2.0, "held_out_missing": 5.0}
    assert log.newest == MetricsLog(tmp_path / "metrics.jsonl", 2).newest == expected


def test_a_resumed_log_leaves_out_later_steps_and_a_line_that_was_cut_short(tmp_path: Path) -> None:
    path = tmp_path / "output" / "metrics.jsonl"
    log = MetricsLog(path, 0)
    for step in (1, 2, 3):
        log.append(step, {"loss": 1.0 / step})
    with path.open("a") as file:
        file.write('{"step": 2, "lo')
    MetricsLog(path, 2).append(3, {"loss": 0.5})
    assert steps(path) == [1, 2, 3]
    assert MetricsLog(path, 2).newest == {"loss": 0.5}


def test_lines_may_hold_what_unicode_calls_the_end_of_one(tmp_path: Path) -> None:
    path = tmp_path / "samples.jsonl"
    whole = json.dumps({"step": 1, "response": "one\u2028two\x85three"}, ensure_ascii=False) + "\n"
    path.write_bytes(whole.encode() + '{"step": 2, "response": "é'.encode()[:-1])
    assert lines_up_to(path, 2) == [whole]


def test_a_crash_while_a_log_is_cut_leaves_it_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "metrics.jsonl"
    log = MetricsLog(path, 0)
    for step in (1, 2, 3):
        log.append(step, {"loss": 1.0})

    def crash(_: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", crash)
    with pytest.raises(KeyboardInterrupt):
        MetricsLog(path, 2)
    assert steps(path) == [1, 2, 3]


def test_a_training_from_the_start_begins_a_log_anew(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    MetricsLog(path, 0).append(1, {"loss": 1.0})
    assert MetricsLog(path, 0).newest == {}
    assert path.read_text() == ""


def test_of_several_processes_one_writes_and_all_remember(tmp_path: Path) -> None:
    path = tmp_path / "metrics.jsonl"
    MetricsLog(path, 0).append(1, {"loss": 1.0})
    other = MetricsLog(path, 1, writes=False)
    other.append(2, {"loss": 0.5})
    assert other.newest == {"loss": 0.5}
    assert steps(path) == [1]
