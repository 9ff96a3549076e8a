"""Reward models: what training makes of preferences."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

from jurist.contracts import Trainer
from jurist.errors import UsageError
from jurist.train_jobs import Artifact, TrainJob, TrainProgress
from jurist_trl.supervised.dpo import DPO
from jurist_trl.supervised.reward import Reward


def test_margins_reach_the_trainer_and_those_of_rows_without_one_are_zero(
    policy: Path, preferences: Path, tmp_path: Path, score_texts: Any, train_reward: Any, write_rows: Any
) -> None:
    """The loss of the first step, with probability 1, against the formula on the untrained model."""
    import torch
    from torch.nn.functional import logsigmoid

    rows = [json.loads(line) | {"probability": 1.0} for line in preferences.read_text().splitlines()[:8]]
    margins = [0.0, 1.0, 2.0, 0.0, 0.5, 0.0, 3.0, 0.0]
    with_margins = [row | {"margin": m} if m else row for row, m in zip(rows, margins, strict=True)]
    first: dict[str, float] = {}
    for name, data in (("none", rows), ("some", with_margins)):
        job = TrainJob(model=policy, data=write_rows(tmp_path / name, data), output=tmp_path / f"out-{name}")
        artifact = train_reward(job, max_steps=1, learning_rate=1e-12, eval_fraction=0, normalize=False)
        first[name] = artifact.metrics["loss"]
    sides = {
        side: torch.tensor(score_texts(artifact.path, rows, side), dtype=torch.float64)
        for side in ("chosen", "rejected")
    }
    d = sides["chosen"] - sides["rejected"]
    assert first["none"] == pytest.approx(-logsigmoid(d).mean().item(), abs=1e-5)
    assert first["some"] == pytest.approx(-logsigmoid(d - torch.tensor(margins)).mean().item(), abs=1e-5)
    assert first["some"] - first["none"] > 0.1


def test_centering_adds_the_square_of_what_both_scores_sum_to(
    policy: Path, preferences: Path, tmp_path: Path, score_texts: Any, train_reward: Any, write_rows: Any
) -> None:
    """Eisenstein et al. 2023 (arXiv 2312.09244), again on the untrained model."""
    rows = [json.loads(line) for line in preferences.read_text().splitlines()[:8]]
    data = write_rows(tmp_path / "rows", rows)
    losses = []
    for name, coefficient in (("without", None), ("with", 0.5)):
        artifact = train_reward(
            TrainJob(model=policy, data=data, output=tmp_path / name),
            max_steps=1,
            learning_rate=1e-12,
            eval_fraction=0,
            normalize=False,
            center_rewards_coefficient=coefficient,
        )
        losses.append(artifact.metrics["loss"])
    chosen, rejected = (score_texts(artifact.path, rows, side) for side in ("chosen", "rejected"))
    squares = [(one + other) ** 2 for one, other in zip(chosen, rejected, strict=True)]
    assert losses[1] - losses[0] == pytest.approx(0.5 * sum(squares) / len(squares), abs=1e-5)
    assert losses[1] - losses[0] > 1e-3


def test_the_probability_reaches_the_loss_of_the_trainer(
    policy: Path, preferences: Path, tmp_path: Path, train_reward: Any, write_rows: Any
) -> None:
    """With p = 0.5 everywhere nothing can be learnt beyond ln 2; a dropped column would learn."""
    rows = [json.loads(line) | {"probability": 0.5} for line in preferences.read_text().splitlines()]
    data = write_rows(tmp_path / "ties.jsonl", rows)
    artifact = train_reward(TrainJob(model=policy, data=data, output=tmp_path), normalize=False)
    assert artifact.metrics["loss"] >= math.log(2) - 1e-6
    assert artifact.metrics["eval_loss"] == pytest.approx(math.log(2), abs=0.05)
    assert "eval_accuracy" not in artifact.metrics


@pytest.mark.parametrize("method", [Reward, DPO])
def test_preferences_for_the_rejected_response_are_measured_as_what_they_say(
    policy: Path,
    preferences: Path,
    tmp_path: Path,
    write_rows: Any,
    weights: Any,
    metrics_of: Any,
    method: type[Trainer],
) -> None:
    """Rows of probability .1, the other way round, make the same model and metrics as rows of .9."""
    import torch

    rows = [json.loads(line) for line in preferences.read_text().splitlines()]
    swapped = [
        row | {"chosen": row["rejected"], "rejected": row["chosen"], "probability": 0.1} for row in rows
    ]
    models, logs = [], []
    for name, data in (("rows", rows), ("swapped", swapped)):
        job = TrainJob(model=policy, data=write_rows(tmp_path / name, data), output=tmp_path / f"out-{name}")
        options = method.Options(max_steps=3, learning_rate=3e-3)
        models.append(weights(method(options).train(job, lambda _: None).path))
        logs.append(metrics_of(job.output))
    assert all(torch.equal(models[0][name], models[1][name]) for name in models[0])
    assert logs[0] == logs[1]


def test_an_obvious_preference_is_learnt_and_the_sureness_of_its_labels(trained_reward: Artifact) -> None:
    entropy = -(0.9 * math.log(0.9) + 0.1 * math.log(0.1))  # the least loss that labels of 0.9 allow
    assert trained_reward.kind == "reward_model"
    assert trained_reward.metrics["eval_accuracy"] == 1.0
    assert entropy - 1e-6 <= trained_reward.metrics["eval_loss"] < entropy + 0.05
    assert trained_reward.metrics["pairs"] + trained_reward.metrics["pairs_held_out"] == 96
    assert 8 <= trained_reward.metrics["pairs_held_out"] <= 45
    table = json.loads((trained_reward.path.parent / "calibration.json").read_text())
    assert sum(row["pairs"] for row in table) == trained_reward.metrics["pairs_held_out"]
    gaps = sum(row["pairs"] * abs(row["confidence"] - row["label"]) for row in table)
    error = gaps / trained_reward.metrics["pairs_held_out"]
    assert trained_reward.metrics["eval_calibration_error"] == pytest.approx(error)
    assert error < 0.1
    assert trained_reward.metrics["eval_brier"] < 0.01  # of what the labels of 0.9 say, not of what happens


def test_killed_and_resumed_training_ends_bit_identical(
    policy: Path, preferences: Path, tmp_path: Path, weights: Any, kill_at: Any, train_reward: Any
) -> None:
    import torch

    whole = TrainJob(model=policy, data=preferences, output=tmp_path / "whole", seed=1)
    first = train_reward(whole, max_steps=4)
    halved = TrainJob(model=policy, data=preferences, output=tmp_path / "halved", seed=1)
    with pytest.raises(Exception, match="at step 3"):
        train_reward(halved, kill_at(3), max_steps=4)
    resumed: list[TrainProgress] = []
    second = train_reward(halved, resumed.append, max_steps=4)
    assert [p.step for p in resumed] == [3, 4]
    assert list(resumed[-1].metrics)[:2] == ["loss", "accuracy"]
    a, b = weights(first.path), weights(second.path)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert first.metrics == second.metrics


def test_gradient_accumulation_makes_the_step_of_the_larger_batch(
    policy: Path, preferences: Path, tmp_path: Path, weights: Any, train_reward: Any
) -> None:
    """Without clipping and with Adam's epsilon so large that a step is proportional to the gradient."""
    settings = {"max_steps": 1, "normalize": False, "adam_epsilon": 1e3, "max_grad_norm": 1e9}
    results = []
    for rate, batch_size, accumulation in ((1e-12, 8, 1), (10.0, 8, 1), (10.0, 4, 2)):
        job = TrainJob(model=policy, data=preferences, output=tmp_path / f"{rate}-{batch_size}")
        artifact = train_reward(
            job,
            learning_rate=rate,
            batch_size=batch_size,
            gradient_accumulation_steps=accumulation,
            **settings,
        )
        results.append(weights(artifact.path))
    start, large, small = results
    moved = max((large[n] - start[n]).abs().max().item() for n in start)
    assert moved > 1e-4
    assert max((large[n] - small[n]).abs().max().item() for n in start) < 1e-2 * moved


def test_long_pairs_are_counted_and_none_left_is_an_error(
    policy: Path, preferences: Path, tmp_path: Path, train_reward: Any
) -> None:
    artifact = train_reward(
        TrainJob(model=policy, data=preferences, output=tmp_path), max_length=12, max_steps=1
    )
    lengths = [
        len(x["chosen"][0]["content"].split()) for x in map(json.loads, preferences.read_text().splitlines())
    ]
    too_long = sum(8 + n + 1 > 12 for n in lengths)  # <user>, six words, <assistant>; then <eos>
    assert 0 < too_long < 96
    assert artifact.metrics["pairs_too_long"] == too_long
    with pytest.raises(UsageError, match="96 of 96 have more than 5 tokens"):
        train_reward(TrainJob(model=policy, data=preferences, output=tmp_path), max_length=5)


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")
def test_adapters_are_merged_and_the_merged_model_is_normalised(
    policy: Path, preferences: Path, tmp_path: Path, train_reward: Any
) -> None:
    from jurist_trl.reward_model import RewardModel

    lora = {"rank": 4, "target_modules": ["q_proj", "v_proj"]}
    job = TrainJob(model=policy, data=preferences, output=tmp_path)
    artifact = train_reward(job, lora=lora, learning_rate=2e-2, eval_fraction=0)
    rows = [json.loads(line) for line in preferences.read_text().splitlines()]
    sides = [(row["prompt"], row[side][0]["content"]) for row in rows for side in ("chosen", "rejected")]
    scores = RewardModel(artifact.path).score([p for p, _ in sides], [text for _, text in sides])
    mean = sum(scores) / len(scores)
    assert mean == pytest.approx(0, abs=1e-4)
    assert sum((s - mean) ** 2 for s in scores) / len(scores) == pytest.approx(1, abs=1e-3)
    assert sum(a > b for a, b in zip(scores[::2], scores[1::2], strict=True)) == 96
