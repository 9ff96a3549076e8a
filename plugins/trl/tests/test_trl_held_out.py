"""Held-out prompts: measured while training, and training does not notice."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from jurist.errors import ContractError, UsageError
from jurist.train_jobs import TrainJob

STEPS = {"rollouts": 4, "ppo_epochs": 2, "eval_steps": 3}


def goods(prompts: Any, texts: Sequence[str]) -> list[float | None]:
    return [float(text.split().count("good")) for text in texts]


@pytest.fixture
def held_out(tmp_path: Path) -> Path:
    """Five prompts, one as a text and one that is too long to measure on."""
    path = tmp_path / "held_out.jsonl"
    short: list[Any] = [[{"role": "user", "content": f"say {word}"}] for word in ("no", "yes", "red")]
    prompts = [*short, "what is two", "is " * 30]
    path.write_text("".join(json.dumps({"prompt": prompt}) + "\n" for prompt in prompts))
    return path


def test_training_is_the_same_with_and_without(
    ppo_job: TrainJob, train_ppo: Any, metrics_of: Any, weights: Any, held_out: Path
) -> None:
    """Though the measure itself draws random numbers of all kinds."""
    import numpy
    import torch

    def disturbing(prompts: Any, texts: Sequence[str]) -> list[float | None]:
        return [random.random() + numpy.random.rand() + torch.rand(()).item() for _ in texts]

    plain = ppo_job.model_copy(update={"output": ppo_job.output / "plain"})
    watched = ppo_job.model_copy(update={"output": ppo_job.output / "watched", "held_out": held_out})
    train_ppo(plain, **STEPS)
    train_ppo(watched, measure=disturbing, **STEPS)
    for folder in ("model", "value_model"):
        a, b = weights(plain.output / folder), weights(watched.output / folder)
        assert all(torch.equal(a[name], b[name]) for name in a), folder
    own = {"step_time", "held_out_metric", "held_out_length", "held_out_missing"}
    first, second = (
        [{k: v for k, v in line.items() if k not in own} for line in metrics_of(j.output) if line["step"]]
        for j in (plain, watched)
    )
    assert first == second


def test_the_mean_measure_is_logged_before_in_and_after_training(
    ppo_job: TrainJob, train_ppo: Any, metrics_of: Any, held_out: Path
) -> None:
    asked: list[tuple[list[str], list[str]]] = []

    def measure(prompts: Any, texts: Sequence[str]) -> list[float | None]:
        asked.append(([prompt[-1]["content"] for prompt in prompts], list(texts)))
        return goods(prompts, texts)

    job = ppo_job.model_copy(update={"held_out": held_out})
    artifact = train_ppo(job, measure=measure, max_prompt_length=20, **{**STEPS, "rollouts": 5})
    logged = [line for line in metrics_of(job.output) if "held_out_metric" in line]
    assert [line["step"] for line in logged] == [0, 4, 8, 10]  # eval_steps 3 became 4, and the end
    assert [prompts for prompts, _ in asked] == [["say no", "say yes", "say red", "what is two"]] * 4
    means = [sum(text.split().count("good") for text in texts) / 4 for _, texts in asked]
    assert [line["held_out_metric"] for line in logged] == pytest.approx(means)
    assert [line["held_out_missing"] for line in logged] == [0] * 4
    assert all(1 <= line["held_out_length"] <= 6 for line in logged)
    assert artifact.metrics["held_out_metric"] == pytest.approx(means[-1])
    assert artifact.metrics["held_out_too_long"] == 1


def test_the_same_policy_measures_the_same(
    ppo_job: TrainJob, train_ppo: Any, metrics_of: Any, held_out: Path, reward_functions: ModuleType
) -> None:
    """With the function that the option ``metric`` names."""
    job = ppo_job.model_copy(update={"held_out": held_out})
    train_ppo(job, metric=f"{reward_functions.__name__}:goods_async", learning_rate=1e-12, **STEPS)
    logged = [line for line in metrics_of(job.output) if "held_out_metric" in line]
    assert len({(line["held_out_metric"], line["held_out_length"]) for line in logged}) == 1
    assert len(logged) == 3


def test_what_cannot_be_measured_is_counted_and_no_zero(
    ppo_job: TrainJob, train_ppo: Any, metrics_of: Any, held_out: Path
) -> None:
    job = ppo_job.model_copy(update={"held_out": held_out})
    train_ppo(job, measure=lambda prompts, texts: [None, 2.0, float("nan"), 4.0], max_prompt_length=20)
    assert metrics_of(job.output)[0]["held_out_metric"] == 3.0
    assert metrics_of(job.output)[0]["held_out_missing"] == 2
    nothing = job.model_copy(update={"output": job.output / "nothing"})
    train_ppo(nothing, measure=lambda prompts, texts: [None] * 4, max_prompt_length=20)
    assert metrics_of(nothing.output)[0]["held_out_missing"] == 4
    assert not any("held_out_metric" in line for line in metrics_of(nothing.output))


def test_held_out_prompts_that_are_all_too_long_are_an_error_that_tells_them_apart(
    ppo_job: TrainJob, train_ppo: Any, held_out: Path
) -> None:
    held_out.write_text(held_out.read_text().splitlines()[-1])
    job = ppo_job.model_copy(update={"held_out": held_out})
    with pytest.raises(UsageError, match="none of the 1 held-out prompts has at most 20 tokens"):
        train_ppo(job, measure=goods, max_prompt_length=20)


def test_prompts_and_measure_belong_together(ppo_job: TrainJob, train_ppo: Any, held_out: Path) -> None:
    job = ppo_job.model_copy(update={"held_out": held_out})
    metric = "reward_functions_of_a_test:goods"
    with pytest.raises(UsageError, match="nobody measures the held-out prompts"):
        train_ppo(job)
    with pytest.raises(UsageError, match="the held-out prompts have two measures"):
        train_ppo(job, measure=goods, metric=metric)
    with pytest.raises(UsageError, match="metric measures responses to held-out prompts: name some"):
        train_ppo(ppo_job, metric=metric)
    with pytest.raises(UsageError, match="could not be loaded"):
        train_ppo(job, metric="reward_functions_of_a_test:missing")
    with pytest.raises(ContractError, match="gave 1 numbers for 5 responses"):
        train_ppo(job, measure=lambda prompts, texts: [1.0])


def test_a_measure_that_fails_is_asked_again_and_then_missing(
    ppo_job: TrainJob, train_ppo: Any, metrics_of: Any, held_out: Path, reward_functions: ModuleType
) -> None:
    """Of the four prompts, one fails once and one always."""
    asked: list[int] = []

    def flaky(prompts: Any, texts: Sequence[str]) -> list[float | None]:
        asked.append(len(texts))
        if len(asked) == 1:
            raise TimeoutError("too slow")
        return [None if prompt[0]["content"] == "say no" else 3.0 for prompt in prompts]

    reward_functions.flaky = flaky  # type: ignore[attr-defined]
    job = ppo_job.model_copy(update={"held_out": held_out})
    metric = f"{reward_functions.__name__}:flaky"
    train_ppo(job, rollouts=1, metric=metric, reward_retries=1, max_prompt_length=20)
    measured = [(line["held_out_metric"], line["held_out_missing"]) for line in metrics_of(job.output)]
    assert measured == [(3.0, 1), (3.0, 1)]
    assert asked == [4, 4, 4, 1]


def test_a_measurement_that_gave_nothing_leaves_no_older_one_in_its_place(
    ppo_job: TrainJob, train_ppo: Any, held_out: Path, kill_at: Any
) -> None:
    """Also where the training stopped after it and was resumed."""
    answers: list[float | None] = [7.0, None]

    def measure(prompts: Any, texts: Sequence[str]) -> list[float | None]:
        return [answers.pop(0) if answers else None] * len(texts)

    job = ppo_job.model_copy(update={"held_out": held_out})
    settings = {"rollouts": 3, "eval_steps": 2, "save_steps": 2}
    with pytest.raises(Exception, match="at step 3"):
        train_ppo(job, kill_at(3), measure=measure, **settings)
    (line,) = [x for x in job.output.joinpath("metrics.jsonl").read_text().splitlines() if '"step": 2' in x]
    assert json.loads(line)["held_out_missing"] == 5
    artifact = train_ppo(job, measure=measure, **settings)
    assert artifact.metrics["held_out_missing"] == 5
    assert "held_out_metric" not in artifact.metrics
