"""Direct preference optimisation: training, labels, resuming, adapters."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
from pydantic import ValidationError

from jurist.errors import UsageError
from jurist.train_jobs import Artifact, TrainJob, TrainProgress
from jurist_trl.supervised.dpo import DPO, DPOOptions, Loss

STEPS = {"batch_size": 8, "learning_rate": 3e-3, "save_steps": 2, "eval_fraction": 0.25}


def train(
    job: TrainJob, progress: Callable[[TrainProgress], None] = lambda _: None, **options: Any
) -> Artifact:
    return DPO(DPOOptions(**{**STEPS, **options})).train(job, progress)


def read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def implicit_rewards(log_probability: Any) -> Callable[[Path, Path, list[dict[str, Any]]], list[float]]:
    """log ratio of the chosen response - that of the rejected one, by plain Transformers."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    def rewards(trained: Path, policy: Path, rows: list[dict[str, Any]]) -> list[float]:
        tokenizer = AutoTokenizer.from_pretrained(trained)
        models = [AutoModelForCausalLM.from_pretrained(folder).eval() for folder in (trained, policy)]
        with torch.no_grad():
            return [
                sum(
                    sign * factor * log_probability(model, tokenizer, row, side).item()
                    for sign, side in ((1, "chosen"), (-1, "rejected"))
                    for factor, model in zip((1, -1), models, strict=True)
                )
                for row in rows
            ]

    return rewards


@pytest.fixture(scope="module")
def trained(policy: Path, preferences: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    job = TrainJob(model=policy, data=preferences, output=tmp_path_factory.mktemp("dpo"))
    return train(job, epochs=4, beta=0.5)


def test_a_policy_comes_to_prefer_what_is_chosen_as_surely_as_the_labels_are(
    trained: Artifact, policy: Path, preferences: Path, implicit_rewards: Any
) -> None:
    ratios = implicit_rewards(trained.path, policy, read_lines(preferences))
    assert trained.kind == "policy"
    assert min(ratios) > 0
    mean = sum(1 / (1 + math.exp(-0.5 * ratio)) for ratio in ratios) / len(ratios)
    assert mean == pytest.approx(0.9, abs=0.03)  # hard labels would go on to 1
    metrics = trained.metrics
    assert metrics["eval_accuracy"] == 1.0
    entropy = -(0.9 * math.log(0.9) + 0.1 * math.log(0.1))
    assert entropy - 1e-6 <= metrics["eval_loss"] < entropy + 0.05
    assert metrics["eval_calibration_error"] < 0.1
    assert metrics["pairs"] + metrics["pairs_held_out"] == 96
    table = json.loads((trained.path.parent / "calibration.json").read_text())
    assert sum(row["pairs"] for row in table) == metrics["pairs_held_out"] > 8
    lines = read_lines(trained.path.parent / "metrics.jsonl")
    assert [line["step"] for line in lines] == list(range(1, len(lines) + 1))
    assert lines[0]["rewards/margins"] == pytest.approx(0, abs=1e-5)  # policy and reference are one
    assert lines[0]["loss"] == pytest.approx(math.log(2), abs=1e-5)
    assert lines[-1]["rewards/margins"] > 1
    assert lines[-1]["rewards/accuracies"] == 1


def test_the_measures_of_held_out_pairs_are_those_of_the_saved_policy(
    trained: Artifact, policy: Path, preferences: Path, implicit_rewards: Any
) -> None:
    import torch

    from jurist.files.training_data import PreferenceRow, read_training_data
    from jurist_trl.supervised.agreement import agreement
    from jurist_trl.supervised.preferences import _uniform
    from jurist_trl.tokens import messages

    examples = read_training_data(preferences, PreferenceRow)
    drawn = [_uniform(0, messages(example.prompt)) < 0.25 for example in examples]
    rows = [row for row, out in zip(read_lines(preferences), drawn, strict=True) if out]
    ratios = torch.tensor(implicit_rewards(trained.path, policy, rows))
    expected = agreement(0.5 * ratios, torch.full((len(rows),), 0.9))
    assert trained.metrics["pairs_held_out"] == len(rows)
    for name, value in expected.items():
        assert trained.metrics[name] == pytest.approx(value, abs=1e-4), name
    assert trained.metrics["eval_margin"] == pytest.approx(0.5 * ratios.mean().item(), abs=1e-4)


def test_ties_teach_nothing(policy: Path, preferences: Path, tmp_path: Path, write_rows: Any) -> None:
    rows = [row | {"probability": 0.5} for row in read_lines(preferences)]
    data = write_rows(tmp_path / "ties.jsonl", rows)
    artifact = train(TrainJob(model=policy, data=data, output=tmp_path), max_steps=6)
    assert artifact.metrics["loss"] >= math.log(2) - 1e-6
    assert artifact.metrics["eval_loss"] == pytest.approx(math.log(2), abs=1e-3)
    with pytest.raises(UsageError, match=r"all 96 preferences have probability 0\.5"):
        train(TrainJob(model=policy, data=data, output=tmp_path / "hard"), labels="hard")


def test_hard_labels_are_of_the_likelier_response_and_ties_are_counted(
    policy: Path, preferences: Path, tmp_path: Path, weights: Any, write_rows: Any
) -> None:
    """Rows of probability .1, the other way round, train the same policy as rows of .9."""
    import torch

    rows = read_lines(preferences)
    swapped = [
        row | {"chosen": row["rejected"], "rejected": row["chosen"], "probability": 0.1} for row in rows
    ]
    tie = rows[0] | {"probability": 0.5}
    results = []
    for name, data in (("rows", rows), ("swapped", [*swapped, tie])):
        job = TrainJob(model=policy, data=write_rows(tmp_path / name, data), output=tmp_path / f"out-{name}")
        results.append(train(job, labels="hard", max_steps=3))
    one, other = (weights(result.path) for result in results)
    assert all(torch.equal(one[name], other[name]) for name in one)
    assert [result.metrics["pairs_tied"] for result in results] == [0, 1]


def test_killed_and_resumed_training_ends_bit_identical(
    policy: Path, preferences: Path, tmp_path: Path, weights: Any, kill_at: Any
) -> None:
    import torch

    whole = TrainJob(model=policy, data=preferences, output=tmp_path / "whole", seed=1)
    first = train(whole, max_steps=5)
    halved = TrainJob(model=policy, data=preferences, output=tmp_path / "halved", seed=1)
    with pytest.raises(Exception, match="at step 4"):
        train(halved, kill_at(4), max_steps=5)
    resumed: list[TrainProgress] = []
    second = train(halved, resumed.append, max_steps=5)
    assert [p.step for p in resumed] == [3, 4, 5]
    a, b = weights(first.path), weights(second.path)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert any(not torch.equal(a[name], tensor) for name, tensor in weights(policy).items())
    assert first.metrics == second.metrics


def test_adapters_are_trained_against_the_policy_without_them(
    policy: Path, preferences: Path, tmp_path: Path, weights: Any, implicit_rewards: Any
) -> None:
    import torch

    lora = {"rank": 4, "target_modules": ["q_proj", "v_proj"]}
    job = TrainJob(model=policy, data=preferences, output=tmp_path)
    artifact = train(job, lora=lora, learning_rate=2e-2, epochs=3, beta=0.5)
    before, after = weights(policy), weights(artifact.path)
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert before.keys() == after.keys()
    assert changed == {f"model.layers.{i}.self_attn.{p}_proj.weight" for i in (0, 1) for p in "qv"}
    rows = read_lines(preferences)
    ratios = implicit_rewards(artifact.path, policy, rows)
    assert sum(ratio > 0 for ratio in ratios) > 0.9 * len(rows)
    first = read_lines(tmp_path / "metrics.jsonl")[0]
    assert first["rewards/margins"] == pytest.approx(0, abs=1e-5)


def test_a_reference_computed_before_training_makes_the_same_policy(
    policy: Path, preferences: Path, tmp_path: Path, weights: Any
) -> None:
    results = []
    for precompute in (False, True):
        job = TrainJob(model=policy, data=preferences, output=tmp_path / str(precompute))
        results.append(train(job, precompute_reference=precompute, max_steps=4))
    one, other = (weights(result.path) for result in results)
    start = weights(policy)
    moved = max((one[name] - start[name]).abs().max().item() for name in start)
    assert moved > 1e-3
    assert max((one[name] - other[name]).abs().max().item() for name in start) < 1e-2 * moved
    assert results[0].metrics["eval_loss"] == pytest.approx(results[1].metrics["eval_loss"], abs=1e-4)


def test_long_pairs_are_counted_and_none_left_is_an_error(
    policy: Path, preferences: Path, tmp_path: Path
) -> None:
    lengths = [len(row["chosen"][0]["content"].split()) for row in read_lines(preferences)]
    too_long = sum(8 + n + 1 > 12 for n in lengths)  # <user>, six words, <assistant>; then <eos>
    job = TrainJob(model=policy, data=preferences, output=tmp_path)
    assert 0 < too_long < 96
    assert train(job, max_length=12, max_steps=1).metrics["pairs_too_long"] == too_long
    with pytest.raises(UsageError, match="96 of 96 have more than 5 tokens") as caught:
        train(job, max_length=5)
    assert caught.value.provided_by == "jurist-trl (trl-dpo)"


def test_all_faults_of_the_options_are_named() -> None:
    with pytest.raises(ValidationError) as caught:
        DPOOptions(loss_type="ipo", label_smoothing=0.1)
    for fault in (
        "loss_type ipo takes no probabilities: set labels: hard",
        "label_smoothing is read by loss_type robust, exo_pair, aot, aot_unpaired alone",
    ):
        assert fault in str(caught.value)
    with pytest.raises(ValidationError, match="needs a label_smoothing above 0"):
        DPOOptions(loss_type="exo_pair", labels="hard")


@pytest.mark.slow
@pytest.mark.parametrize("loss_type", get_args(Loss))
def test_every_loss_of_trl_learns_the_order(
    policy: Path, preferences: Path, tmp_path: Path, loss_type: str
) -> None:
    smoothing = 0.01 if loss_type in ("exo_pair", "robust") else 0.0
    job = TrainJob(model=policy, data=preferences, output=tmp_path)
    artifact = train(job, loss_type=loss_type, labels="hard", label_smoothing=smoothing, epochs=3)
    assert artifact.metrics["eval_accuracy"] > 0.9
    assert artifact.metrics["eval_margin"] > 0
    assert ("eval_calibration_error" in artifact.metrics) == (loss_type == "sigmoid")
