"""Dropout is off wherever two forward passes must agree, also that which is a number of its module."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from jurist.contracts import Trainer
from jurist.train_jobs import TrainJob
from jurist_trl.groups.component import GRPO, RLOO
from jurist_trl.ppo.component import PPO
from jurist_trl.supervised.dpo import DPO


@pytest.fixture
def dropping(policy: Path, tmp_path: Path) -> Path:
    """A policy whose configuration drops half of the attention, which is no module of the class Dropout."""
    folder = shutil.copytree(policy, tmp_path / "dropping")
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | {"attention_dropout": 0.5}))
    return folder


@pytest.mark.parametrize("method", [PPO, GRPO, RLOO])
def test_a_policy_does_not_differ_from_itself_by_chance(
    dropping: Path,
    prompts: Path,
    tmp_path: Path,
    reward_functions: ModuleType,
    metrics_of: Any,
    method: type[Trainer],
) -> None:
    reward = f"{reward_functions.__name__}:goods"
    sizes = {"rollouts": 1, "batch_size": 8, "num_generations": 4, "max_completion_length": 6}
    job = TrainJob(model=dropping, data=prompts, output=tmp_path / "out")
    artifact = method(method.Options(reward=reward, **sizes)).train(job, lambda _: None)
    first = metrics_of(job.output)[0]
    assert first["kl"] == pytest.approx(0, abs=1e-6)
    assert first.get("ratio", 1.0) == pytest.approx(1, abs=1e-6)
    # whoever trains the finished policy on finds it as it came
    assert json.loads((artifact.path / "config.json").read_text())["attention_dropout"] == 0.5


def test_dpo_begins_where_the_reference_is(
    dropping: Path, preferences: Path, tmp_path: Path, metrics_of: Any
) -> None:
    job = TrainJob(model=dropping, data=preferences, output=tmp_path / "out")
    DPO(DPO.Options(max_steps=1)).train(job, lambda _: None)
    assert metrics_of(job.output)[0]["loss"] == pytest.approx(math.log(2), abs=1e-6)


def test_a_reward_model_learns_from_the_scores_that_it_gives(
    dropping: Path, preferences: Path, tmp_path: Path, train_reward: Any, score_texts: Any, write_rows: Any
) -> None:
    rows = [json.loads(line) for line in preferences.read_text().splitlines()[:8]]
    job = TrainJob(model=dropping, data=write_rows(tmp_path / "rows", rows), output=tmp_path / "out")
    as_it_was = {"max_steps": 1, "learning_rate": 1e-12, "eval_fraction": 0, "normalize": False}
    artifact = train_reward(job, **as_it_was)
    chosen, rejected = (score_texts(artifact.path, rows, side) for side in ("chosen", "rejected"))
    losses = [
        0.9 * math.log1p(math.exp(b - a)) + 0.1 * math.log1p(math.exp(a - b))
        for a, b in zip(chosen, rejected, strict=True)
    ]
    assert artifact.metrics["loss"] == pytest.approx(sum(losses) / len(losses), abs=1e-5)
