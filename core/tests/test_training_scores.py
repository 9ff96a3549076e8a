"""Judges as rewards: a trainer in a process of its own asks, the run's engine answers, failures are None."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from jurist.errors import BudgetStop, TrainingError
from jurist.recipe import Recipe
from jurist.run import run
from jurist.run_directory import Run
from jurist.testing.simulator import Asked, Faults, Simulator

HERE = Path(__file__).parent
PROMPTS = 20
STEPS = 3


def numbered(asked: Asked) -> str:
    """A score from 1 to 10 that follows from the answer's number alone; 5.5, which would be zero, is none."""
    (step,) = set(re.findall(r"answer (\d)", asked.messages[-1][1]))
    return f"Score: {3 * int(step) + 1}"


def right(step: int) -> float:
    """What comes of it on a scale from -1 to 1."""
    return 2 * (3 * step + 1 - 1) / 9 - 1


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(HERE))
    monkeypatch.setenv("PYTHONPATH", str(HERE))


@pytest.fixture
def server() -> Iterator[Simulator]:
    with Simulator(numbered) as simulator:
        yield simulator


Settings = Callable[..., dict[str, Any]]


@pytest.fixture
def settings(write_rows: Any) -> Settings:
    def made(server: Simulator, trainer: dict[str, Any] | None = None, **stage: Any) -> dict[str, Any]:
        judge = {"use": "remote", "name": "judge", "url": server.url, "reasks": 0, "limits": {"attempts": 3}}
        return {
            "prompts": write_rows(*(f"question {number}" for number in range(PROMPTS))),
            "policy": {"use": "remote", "model": "start"},
            "stages": [
                {
                    "stage": "train",
                    "trainer": {"use": "steps", "steps": STEPS, **(trainer or {})},
                    "scorers": [judge],
                    **stage,
                }
            ],
        }

    return made


def carry_out(settings: dict[str, Any], folder: Path, **options: Any) -> Run:
    from scored_training import Source

    return run(Recipe.of(settings), folder, Source(), **options)


def scores(folder: Path) -> list[list[float | None]]:
    found: list[list[float | None]] = json.loads(
        (folder / "stages" / "01-train" / "model" / "scores.json").read_text()
    )
    return found


def assert_asked_once(server: Simulator) -> None:
    assert len(server.counters.asked) == PROMPTS * STEPS
    assert set(server.counters.asked.values()) == {1}


def test_every_reward_is_the_judges_or_none_whatever_goes_wrong(
    settings: Settings, rows: Any, tmp_path: Path
) -> None:
    faults = Faults(rate_limited=0.2, server_error=0.3, garbage=0.1, retry_after=0.01)
    with Simulator(numbered, faults=faults, seed=3) as server:
        done = carry_out(settings(server), tmp_path / "run")
        struck = server.counters.faults
    assert all(struck[name] for name in ("rate_limited", "server_error", "garbage"))
    found = scores(tmp_path / "run")
    for step, values in enumerate(found):
        assert all(value is None or value == pytest.approx(right(step)) for value in values)
    without = sum(value is None for values in found for value in values)
    counts = done.stages[0].summary["scores"]["score"]
    assert counts["responses"] == PROMPTS * STEPS
    assert counts["without_score"] == without > 0
    said = counts["scorers"]["judge"]
    assert said["score"] == PROMPTS * STEPS - without
    assert said["abstention: unparsed"] == struck["garbage"]
    assert said["failure"] == done.stages[0].summary["given_up"] > 0
    assert sum(said.values()) == PROMPTS * STEPS
    told = rows(done.stages[0].folder / "scores.jsonl")
    assert Counter(row["scores"]["judge"]["kind"] for row in told)["failure"] == said["failure"]
    assert all((row["value"] is None) == (row["scores"]["judge"]["kind"] != "score") for row in told)
    assert done.totals["judge"]["calls"] == said["score"] + said["abstention: unparsed"]


def test_of_several_scorers_the_mean_counts_and_none_where_one_says_nothing(
    settings: Settings, tmp_path: Path
) -> None:
    def sometimes(asked: Asked) -> str:
        return "Well." if "question 7" in asked.messages[-1][1] else numbered(asked)

    with Simulator(sometimes) as server:
        stage = settings(server)
        stage["stages"][0]["scorers"].append("length")
        done = carry_out(stage, tmp_path / "run")
    for step, values in enumerate(scores(tmp_path / "run")):
        for number, value in enumerate(values):
            length = len(f"question {number} answer {step}")
            assert value == (None if number == 7 else pytest.approx((right(step) + length) / 2))
    counts = done.stages[0].summary["scores"]["score"]
    assert counts["without_score"] == STEPS
    assert counts["scorers"] == {
        "judge": {"score": (PROMPTS - 1) * STEPS, "abstention: unparsed": STEPS},
        "length": {"score": PROMPTS * STEPS},
    }


def test_the_budget_ends_the_training_and_the_next_run_pays_only_for_the_rest(
    settings: Settings, server: Simulator, tmp_path: Path
) -> None:
    recipe = settings(server)
    with pytest.raises(BudgetStop):
        carry_out(recipe, tmp_path / "run", max_tokens=4500)
    asked = len(server.counters.asked)
    assert PROMPTS < asked < PROMPTS * STEPS
    ended = json.loads((tmp_path / "run" / "run.json").read_text())
    assert ended["status"] == "budget"
    used = ended["totals"]["judge"]
    assert used["prompt_tokens"] + used["completion_tokens"] <= 4500
    done = carry_out(recipe, tmp_path / "run")
    assert_asked_once(server)
    assert scores(tmp_path / "run") == [[pytest.approx(right(s))] * PROMPTS for s in range(STEPS)]
    assert done.stages[0].summary["scores"]["score"]["responses"] == PROMPTS * STEPS
    log = (done.stages[0].folder / "train.log").read_text()
    assert log == "".join(f"step {step}\n" for step in range(STEPS))  # none of them twice


def test_a_killed_worker_is_told_and_the_next_run_continues(
    settings: Settings, server: Simulator, tmp_path: Path
) -> None:
    recipe = settings(server, {"killed_at": 1})
    with pytest.raises(TrainingError, match=r"died \(SIGKILL\)"):
        carry_out(recipe, tmp_path / "run")
    done = carry_out(recipe, tmp_path / "run")
    assert_asked_once(server)
    assert scores(tmp_path / "run") == [[pytest.approx(right(s))] * PROMPTS for s in range(STEPS)]
    # Step 1 was asked for twice, and answered from the ledger the second time.
    assert done.stages[0].summary["scores"]["score"]["responses"] == PROMPTS * STEPS
    per_step = done.totals["judge"]["prompt_tokens"] / STEPS
    assert done.stages[0].summary["usage"]["prompt_tokens"] == per_step * (STEPS - 2)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGKILL, -9), (signal.SIGINT, 130)])
def test_when_the_run_is_ended_so_is_the_worker_and_the_next_run_continues(
    number: signal.Signals, code: int, settings: Settings, server: Simulator, tmp_path: Path
) -> None:
    recipe = settings(server, {"slow_at": 1})
    (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    process = subprocess.Popen(
        [sys.executable, HERE / "scored_training.py", tmp_path / "recipe.json", tmp_path / "run"]
    )
    pid = _written(tmp_path / "run" / "stages" / "01-train" / "accident")
    process.send_signal(number)
    assert process.wait(timeout=20) == code
    deadline = time.monotonic() + 10
    while _alive(pid) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not _alive(pid)
    carry_out(recipe, tmp_path / "run")
    assert_asked_once(server)
    assert scores(tmp_path / "run") == [[pytest.approx(right(s))] * PROMPTS for s in range(STEPS)]


def test_ctrl_c_while_a_judge_is_asked_lets_it_answer(settings: Settings, tmp_path: Path) -> None:
    with Simulator(numbered, latency=0.5) as server:
        recipe = settings(server)
        (tmp_path / "recipe.json").write_text(json.dumps(recipe))
        process = subprocess.Popen(
            [sys.executable, HERE / "scored_training.py", tmp_path / "recipe.json", tmp_path / "run"]
        )
        deadline = time.monotonic() + 20
        while not server.counters.in_flight:
            assert time.monotonic() < deadline
            time.sleep(0.01)
        process.send_signal(signal.SIGINT)
        assert process.wait(timeout=20) == 130
        billed = len(server.counters.asked)
        assert 0 < billed < PROMPTS * STEPS
        assert server.counters.abandoned == 0
        carry_out(recipe, tmp_path / "run")
        assert_asked_once(server)


def test_training_in_process_asks_in_the_same_way(
    settings: Settings, server: Simulator, tmp_path: Path
) -> None:
    carry_out(settings(server), tmp_path / "run", in_process=True)
    assert_asked_once(server)
    assert scores(tmp_path / "run") == [[pytest.approx(right(s))] * PROMPTS for s in range(STEPS)]


def test_a_trainer_in_process_that_swallows_the_end_of_the_budget_does_not_hide_it(
    settings: Settings, server: Simulator, tmp_path: Path
) -> None:
    recipe = settings(server, {"swallows": True})
    with pytest.raises(BudgetStop):
        carry_out(recipe, tmp_path / "run", in_process=True, max_tokens=4500)


def test_held_out_prompts_are_measured_by_scorers_of_their_own(
    settings: Settings, server: Simulator, write_rows: Any, rows: Any, tmp_path: Path
) -> None:
    held_out = write_rows("far", "away", {"prompt": "off", "tags": ["no"]}, name="held_out.jsonl")
    stage = {"prompts": {"path": held_out, "without_tags": ["no"]}, "scorers": ["length"]}
    done = carry_out(settings(server, held_out=stage), tmp_path / "run")
    folder = done.stages[0].folder
    assert [row["prompt"][0]["content"] for row in rows(folder / "held_out.jsonl")] == ["far", "away"]
    assert json.loads((folder / "measured.json").read_text()) == [float(len("held out answer 3"))] * 2
    counts = done.stages[0].summary["scores"]
    assert counts["measure"] == {"responses": 2, "without_score": 0, "scorers": {"length": {"score": 2}}}
    assert counts["score"]["responses"] == PROMPTS * STEPS


def test_scorers_see_what_a_trainer_knows_nothing_of(
    settings: Settings, server: Simulator, write_rows: Any, rows: Any, tmp_path: Path
) -> None:
    recipe = settings(server)
    row = {"prompt": "question 1", "tags": ["maths"], "metadata": {"solution": 4}}
    recipe["prompts"] = write_rows(row, name="tagged.jsonl")
    done = carry_out(recipe, tmp_path / "run")
    for told in rows(done.stages[0].folder / "scores.jsonl"):
        assert told["prompt"]["tags"] == ["maths"]
        assert told["prompt"]["metadata"] == {"solution": 4}


def test_an_unfinished_line_of_an_earlier_attempt_is_left_out(
    settings: Settings, server: Simulator, rows: Any, tmp_path: Path
) -> None:
    recipe = settings(server, {"killed_at": 1})
    with pytest.raises(TrainingError):
        carry_out(recipe, tmp_path / "run")
    log = tmp_path / "run" / "stages" / "01-train" / "scores.jsonl"
    log.write_bytes(log.read_bytes()[:-40] + "é".encode()[:1])
    done = carry_out(recipe, tmp_path / "run")
    assert len(rows(log)) == 2 * PROMPTS - 1 + PROMPTS * (STEPS - 1)
    assert done.stages[0].summary["scores"]["score"]["responses"] == PROMPTS * STEPS


def _written(path: Path) -> int:
    deadline = time.monotonic() + 20
    while not (path.exists() and path.read_text()):
        assert time.monotonic() < deadline, f"{path} was never written"
        time.sleep(0.05)
    return int(path.read_text())


def _alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False
    return state != "Z"
