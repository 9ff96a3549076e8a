"""The command against a simulated provider: faults, keys, budgets, batches, and processes that are killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from jurist.testing.simulator import Faults, Latency, Simulator

Rows = Callable[[Path], list[Any]]
Start = Callable[..., "subprocess.Popen[bytes]"]

KEY = "sk-planted-0123456789abcdef"
PAIRS = 150
FAULTS = Faults(
    rate_limited=0.05,
    server_error=0.03,
    reset=0.03,
    truncated=0.02,
    not_json=0.02,
    garbage=0.05,
    retry_after=0.2,
)


class Labelling:
    """``jurist judge`` on pairs whose better response says "(good)", by turns A and B."""

    def __init__(self, folder: Path, start: Start, environment: dict[str, str]) -> None:
        self._folder = folder
        self._start = start
        self._environment = {**environment, "SIMULATOR_KEY": KEY}
        self.run = folder / "run"
        with (folder / "pairs.jsonl").open("w", encoding="utf-8") as file:
            for number in range(PAIRS):
                answers = [f"Answer {number} (good)", f"Answer {number}"]
                first, second = answers if number % 2 else answers[::-1]
                pair = {"prompt": f"Question {number}?", "response_a": first, "response_b": second}
                file.write(json.dumps(pair) + "\n")

    def begin(self, server: Simulator, *arguments: str, use: str = "openai", **judge: Any) -> Any:
        address = server.anthropic_url if use == "anthropic" else server.url
        settings = {
            "use": use,
            "name": "judge",
            "model": "claude-haiku-4-5" if use == "anthropic" else "simulated",
            "base_url": address,
            "api_key": "${SIMULATOR_KEY}",
            "labels": "verdict",
            "price": {"input": 1.0, "output": 10.0, "batch": 0.5},
            "limits": {"attempts": 12} if "batch" in judge else {"concurrency": 32, "attempts": 12},
            **judge,
        }
        (self._folder / "judges.yaml").write_text(yaml.safe_dump([settings]), encoding="utf-8")
        return self._start(
            *("judge", self._folder / "pairs.jsonl", "--judges", self._folder / "judges.yaml"),
            *("--out", self.run, *arguments),
            environment=self._environment,
            cwd=self._folder,
        )

    def finish(self, server: Simulator, *arguments: str, **judge: Any) -> int:
        code: int = self.begin(server, *arguments, **judge).wait(timeout=120)
        return code

    @property
    def output(self) -> str:
        return (self._folder / "command.log").read_text(encoding="utf-8")

    def spent(self) -> float:
        state = json.loads((self.run / "run.json").read_text(encoding="utf-8"))
        return float(state["totals"]["judge"]["usd"])

    def assert_all_labelled_right(self, rows: Rows) -> None:
        preferences = rows(self.run / "stages" / "01-compare" / "preferences.jsonl")
        assert len(preferences) == PAIRS, self.output
        assert all("(good)" in each["chosen"][0]["content"] for each in preferences)
        assert {each["probability"] for each in preferences} == {1.0}

    def assert_no_key_anywhere(self) -> None:
        files = [path for path in self._folder.rglob("*") if path.is_file()]
        assert len(files) > 4
        assert [path for path in files if KEY.encode() in path.read_bytes()] == []


@pytest.fixture
def labelling(tmp_path: Path, start: Start, environment: dict[str, str]) -> Labelling:
    return Labelling(tmp_path, start, environment)


def test_faults_lose_no_row_make_no_wrong_label_and_show_no_key(labelling: Labelling, rows: Rows) -> None:
    with Simulator(faults=FAULTS, latency=Latency.constant(0.01), seed=5) as server:
        assert labelling.finish(server) == 0, labelling.output
        faults = server.counters.faults
    labelling.assert_all_labelled_right(rows)
    labelling.assert_no_key_anywhere()
    assert all(faults[name] for name in ("rate_limited", "server_error", "reset", "not_json", "garbage"))


def test_garbage_alone_is_abstained_from_and_counted(labelling: Labelling, rows: Rows) -> None:
    with Simulator(faults=Faults(garbage=1.0)) as server:
        assert labelling.finish(server) == 0, labelling.output
        assert server.counters.answered == 3 * 2 * PAIRS  # asked twice more, each in its own right
    stage = labelling.run / "stages" / "01-compare"
    assert rows(stage / "preferences.jsonl") == []
    summary = json.loads((stage / "summary.json").read_text(encoding="utf-8"))
    assert summary["judges"]["judge"]["unparsed"] == PAIRS
    assert summary["decisions"] == {"no_votes": PAIRS}


def test_a_wrong_key_ends_the_run_with_one_message_that_does_not_hold_it(labelling: Labelling) -> None:
    with Simulator(keys={"another"}) as server:
        assert labelling.finish(server) == 2
    assert "OPENAI_API_KEY" in labelling.output
    assert "Traceback" not in labelling.output
    labelling.assert_no_key_anywhere()


def test_the_cap_holds_and_a_higher_one_goes_on(labelling: Labelling, rows: Rows) -> None:
    with Simulator(latency=Latency.constant(0.01)) as server:
        assert labelling.finish(server, "--max-usd", "0.01") == 3
        first = labelling.spent()
        assert 0.009 < first <= 0.01
        assert labelling.finish(server, "--max-usd", "1") == 0, labelling.output
        labelling.assert_all_labelled_right(rows)
        assert labelling.spent() > first
        assert set(server.counters.asked.values()) == {1}


def test_killed_near_half_only_calls_in_flight_are_made_again(labelling: Labelling, rows: Rows) -> None:
    with Simulator(latency=Latency.constant(0.05)) as server:
        process = labelling.begin(server)
        _wait(lambda: server.counters.answered >= PAIRS, process)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert labelling.finish(server) == 0, labelling.output
        repeated = sum(server.counters.asked.values()) - len(server.counters.asked)
    labelling.assert_all_labelled_right(rows)
    assert len(server.counters.asked) == 2 * PAIRS
    assert 0 < repeated <= 32


@pytest.mark.parametrize("use", ["openai", "anthropic"])
def test_killed_between_submit_and_result_no_comparison_is_paid_twice(
    labelling: Labelling, rows: Rows, use: str
) -> None:
    soon = {"wait": 0.3, "poll": 0.2}
    with Simulator(hold_batches=True, keep_last=1000) as server:
        process = labelling.begin(server, use=use, batch=soon)
        _wait(lambda: any(_is_batch(body) for body in list(server.counters.bodies)), process)
        time.sleep(0.5)
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
        assert sum(server.counters.asked.values()) == 0
        server.release_batches()
        assert labelling.finish(server, use=use, batch=soon) == 0, labelling.output
        assert len(server.counters.asked) == 2 * PAIRS
        assert set(server.counters.asked.values()) == {1}
    labelling.assert_all_labelled_right(rows)
    assert "goes on with batch" in labelling.output or "looks for a batch" in labelling.output


def test_a_second_process_on_the_same_run_is_refused(labelling: Labelling) -> None:
    with Simulator(latency=Latency.constant(0.5)) as server:
        process = labelling.begin(server)
        _wait(lambda: server.counters.requests > 0, process)
        assert labelling.finish(server) == 2
        assert "is in use by another process" in labelling.output
        process.kill()


def test_a_model_that_changes_within_a_run_is_told(labelling: Labelling) -> None:
    def served(version: int) -> Simulator:
        return Simulator(served_model=f"simulated-{version}", port=labelling_port)

    with Simulator(served_model="simulated-1", latency=Latency.constant(0.02)) as server:
        labelling_port = int(server.anthropic_url.rpartition(":")[2])
        process = labelling.begin(server)
        _wait(lambda: server.counters.answered > 20, process)
    with served(2) as server:
        assert process.wait(timeout=120) == 0, labelling.output
    assert "another version answers than before: simulated-2 (fp_simulator)" in labelling.output
    state = json.loads((labelling.run / "run.json").read_text(encoding="utf-8"))
    assert sum(state["served"]["judge"].values()) == 2 * PAIRS
    assert len(state["served"]["judge"]) == 2


def _is_batch(body: Any) -> bool:
    return isinstance(body, dict) and ("input_file_id" in body or "requests" in body)


def _wait(condition: Callable[[], bool], process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert process.poll() is None, "the command ended early"
        assert time.monotonic() < deadline
        time.sleep(0.01)
