"""Rewards in PPO: where they come from, how they are shaped, and what happens without."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from jurist.errors import TrainingError
from jurist.train_jobs import TrainJob


def test_rewards_come_from_a_reward_model_and_the_value_model_starts_there(
    ppo_job: TrainJob,
    train_ppo: Any,
    reward_model: Path,
    ppo_trainers: list[Any],
    weights: Any,
    metrics_of: Any,
) -> None:
    import torch

    settings = {"reward": None, "rollouts": 1, "learning_rate": 1e-12}
    train_ppo(ppo_job.model_copy(update={"reward_models": (reward_model,)}), **settings)
    values = ppo_trainers[0].value_model.model.state_dict()
    start = weights(reward_model)
    assert all(torch.allclose(values[name], start[name], atol=1e-8) for name in start)

    from jurist_trl.reward_model import RewardModel

    rollout, tokenizer = ppo_trainers[0].rollouts[0], ppo_trainers[0].processing_class
    texts = tokenizer.batch_decode(
        [
            ids[mask.bool()]
            for ids, mask in zip(rollout["completion_ids"], rollout["completion_mask"], strict=True)
        ],
        skip_special_tokens=True,
    )
    asked = [
        tokenizer.decode(ids[mask.bool()], skip_special_tokens=True).strip()
        for ids, mask in zip(rollout["prompt_ids"], rollout["prompt_mask"], strict=True)
    ]
    scores = RewardModel(reward_model).score([[{"role": "user", "content": p}] for p in asked], texts)
    assert metrics_of(ppo_job.output)[0]["raw_reward"] == pytest.approx(sum(scores) / len(scores), abs=1e-4)


def test_a_failed_reward_is_asked_again_then_left_out_of_the_loss(
    ppo_job: TrainJob,
    train_ppo: Any,
    reward_functions: ModuleType,
    ppo_trainers: list[Any],
    weights: Any,
    metrics_of: Any,
) -> None:
    """What a dropped response scores must not matter to any weight: train with two different ones."""
    import torch

    asked: list[int] = []

    def flaky(prompts: Any, completions: list[str]) -> list[float | None]:
        asked.append(len(completions))
        return [None if "red" in text or not text else float(len(text)) for text in completions]

    reward_functions.flaky = flaky  # type: ignore[attr-defined]
    train_ppo(ppo_job, reward="reward_functions_of_a_test:flaky", reward_retries=1, rollouts=1, batch_size=16)
    rollout = ppo_trainers[0].rollouts[0]
    dropped = int((rollout["mask"].sum(dim=1) == 0).sum())
    assert 0 < dropped < 16
    assert sorted(asked) == sorted([16, dropped])
    logged = metrics_of(ppo_job.output)[0]
    assert logged["dropped"] == dropped
    gone = rollout["mask"].sum(dim=1) == 0
    assert rollout["advantages"][gone].abs().max().item() == 0
    kept = rollout["advantages"][rollout["mask"].bool()]
    assert kept.mean().item() == pytest.approx(0, abs=1e-5)  # whitened over the others alone
    assert kept.std(unbiased=False).item() == pytest.approx(1, abs=1e-3)
    assert torch.isfinite(kept).all()


def test_no_reward_at_all_stops_and_says_why(
    ppo_job: TrainJob, train_ppo: Any, reward_functions: ModuleType
) -> None:
    def broken(prompts: Any, completions: list[str]) -> list[float | None]:
        raise ConnectionError("the judge is down")

    reward_functions.broken = broken  # type: ignore[attr-defined]
    with pytest.raises(
        TrainingError, match=r"no reward for any of 8 responses: ConnectionError: the judge is down"
    ):
        train_ppo(ppo_job, reward="reward_functions_of_a_test:broken", reward_retries=0)


def test_rewards_may_be_async(ppo_job: TrainJob, train_ppo: Any) -> None:
    first = train_ppo(ppo_job, reward="reward_functions_of_a_test:goods_async")
    second = train_ppo(ppo_job.model_copy(update={"output": ppo_job.output / "plain"}))
    assert first.metrics["raw_reward"] == second.metrics["raw_reward"]


def test_rewards_are_normalised_over_all_rollouts_so_far_then_clipped(
    ppo_job: TrainJob, train_ppo: Any, ppo_trainers: list[Any]
) -> None:
    """Without KL, discount or value, the return of each token is the shaped reward."""
    train_ppo(
        ppo_job,
        rollouts=4,
        learning_rate=1e-12,
        reward_normalization=True,
        reward_clip=1.0,
        missing_eos_penalty=0.25,
        kl_coef=0.0,
        gae_lambda=1.0,
        value_model="fresh",
    )
    seen: list[float] = []
    good = ppo_trainers[0].processing_class.convert_tokens_to_ids("good")
    clipped = 0
    for rollout in ppo_trainers[0].rollouts:
        ids, mask = rollout["completion_ids"], rollout["completion_mask"]
        scores = ((ids == good) * mask).sum(dim=1).tolist()
        seen += scores
        mean = sum(seen) / len(seen)
        deviation = (sum((x - mean) ** 2 for x in seen) / len(seen) + 1e-8) ** 0.5
        for score, ended, returns in zip(scores, rollout["ended"], rollout["returns"], strict=True):
            shaped = (score - mean) / deviation
            clipped += abs(shaped) > 1
            expected = min(max(shaped, -1.0), 1.0) - 0.25 * (not ended)
            assert returns[0].item() == pytest.approx(expected, abs=1e-4)
    assert clipped > 0
    moments = ppo_trainers[0].shaping.moments
    assert (moments.seen, moments.mean) == (32, pytest.approx(sum(seen) / 32))


def test_what_each_source_gave_is_logged(
    ppo_job: TrainJob, train_ppo: Any, reward_model: Path, metrics_of: Any, ppo_trainers: list[Any]
) -> None:
    from jurist_trl.reward_model import RewardModel

    job = ppo_job.model_copy(update={"reward_models": (reward_model,)})
    train_ppo(job, rollouts=1, reward_weights=(2.0, -1.0))
    line, texts = metrics_of(job.output)[0], ppo_trainers[0].last_responses
    scores = RewardModel(reward_model).score([row["prompt"] for row in ppo_trainers[0].train_dataset], texts)
    goods = sum(text.split().count("good") for text in texts) / 8
    assert line["raw_reward_model"] == pytest.approx(sum(scores) / 8, abs=1e-5)
    assert line["raw_reward_function"] == pytest.approx(goods)
    assert line["raw_reward"] == pytest.approx(2 * sum(scores) / 8 - goods, abs=1e-5)
