"""Direct RLAIF end to end: a judge behind a faulty provider rewards a policy in training, within a budget."""

from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jurist import Recipe
from jurist.errors import BudgetStop
from jurist.run import run
from jurist.run_directory import Run
from jurist.testing.simulator import Asked, Faults, Simulator
from jurist_registry.registry import Registry

pytestmark = pytest.mark.slow

ROLLOUTS, BATCH = 3, 16
FAULTS = Faults(rate_limited=0.1, server_error=0.2, reset=0.05, not_json=0.05, garbage=0.15, retry_after=0.01)


def marks(asked: Asked) -> str:
    """A score that follows from what is to be scored; none of them is the middle of the scale, which is 0."""
    return f"Score: {2 + zlib.crc32(asked.messages[-1][1].encode()) % 8}"


@pytest.fixture(autouse=True)
def key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SIMULATED_KEY", "sk-simulated")


@pytest.fixture
def server() -> Iterator[Simulator]:
    with Simulator(marks, faults=FAULTS, seed=5) as simulator:
        yield simulator


def recipe(server: Simulator, trainer: str) -> Recipe:
    judge: dict[str, Any] = {
        "use": "openai",
        "name": "judge",
        "model": "simulated",
        "base_url": server.url,
        "api_key": "${SIMULATED_KEY}",
        "reasks": 0,
        "price": {"input": 1.0, "output": 1.0},
        "limits": {"attempts": 2},
    }
    settings = {"use": trainer, "rollouts": ROLLOUTS, "batch_size": BATCH, "max_completion_length": 16}
    if trainer != "trl-ppo":
        settings["num_generations"] = 4
    return Recipe.of(
        {
            "prompts": {"path": "package:jurist_demo/prompts/train.jsonl", "limit": 40},
            "policy": {"use": "hf", "model": "package:jurist_demo/model"},
            "stages": [{"stage": "train", "name": "rl", "trainer": settings, "scorers": [judge]}],
        }
    )


def rows(done: Run, name: str) -> list[dict[str, Any]]:
    path = done.stages[0].folder / name
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def registry() -> Registry:
    return Registry.discover(disabled=("review",))


@pytest.mark.parametrize("trainer", ["trl-ppo", "trl-grpo", "trl-rloo"])
def test_what_has_no_score_is_dropped_and_nothing_else_is(
    trainer: str, server: Simulator, tmp_path: Path
) -> None:
    done = run(recipe(server, trainer), tmp_path / "run", registry())
    scored = rows(done, "scores.jsonl")
    assert len(scored) == ROLLOUTS * BATCH
    missing = 0
    for row in scored:
        outcome = row["scores"]["judge"]
        if outcome["kind"] == "score":
            assert row["value"] == outcome["value"] != 0
        else:
            assert row["value"] is None
            missing += 1
    assert missing > 0
    steps = rows(done, "metrics.jsonl")
    assert sum(step.get("dropped", 0) for step in steps) == missing
    rewarded = sum(step["raw_reward"] * (BATCH - step["dropped"]) for step in steps if "raw_reward" in step)
    assert rewarded == pytest.approx(
        sum(row["value"] for row in scored if row["value"] is not None), abs=1e-3
    )
    counts = done.stages[0].summary["scores"]["score"]
    # A text that was sampled twice counts once.
    assert counts["without_score"] <= missing
    assert (done.stages[0].folder / "model" / "model.safetensors").is_file()


def test_the_budget_holds_and_a_higher_one_goes_on(server: Simulator, tmp_path: Path) -> None:
    whole = run(recipe(server, "trl-rloo"), tmp_path / "whole", registry())
    spent = whole.totals["judge"]["usd"]
    with pytest.raises(BudgetStop):
        run(recipe(server, "trl-rloo"), tmp_path / "run", registry(), max_usd=spent / 2)
    state = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    assert state["status"] == "budget"
    assert 0 < state["totals"]["judge"]["usd"] <= spent / 2
    done = run(recipe(server, "trl-rloo"), tmp_path / "run", registry(), max_usd=2 * spent)
    assert done.stages[0].summary["metrics"]["steps"] == ROLLOUTS
    assert done.totals["judge"]["usd"] <= 2 * spent
