"""Rewards in GRPO and RLOO: where they come from, and that a response without one is left out."""

from __future__ import annotations

import statistics
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from jurist.contracts import Trainer
from jurist.errors import TrainingError
from jurist.train_jobs import TrainJob
from jurist_trl.groups.component import GRPO, RLOO
from jurist_trl.groups.options import GRPOOptions

METHODS = [GRPO, RLOO]


@pytest.fixture
def job(policy: Path, prompts: Path, tmp_path: Path) -> TrainJob:
    return TrainJob(model=policy, data=prompts, output=tmp_path, seed=2)


def by_place(prompts: Any, completions: list[str]) -> list[float | None]:
    """Rewards of groups of four: the second response has none, in the fourth group only the first has one."""
    return [None if i % 4 == 1 or i in (14, 15) else float(len(text)) for i, text in enumerate(completions)]


def expected_advantages(rewards: list[float | None], scale: str | None) -> list[float]:
    """By hand: groups of four; ``scale`` None is RLOO's mean of the others."""
    kept = [r for r in rewards if r is not None]
    found: list[float] = []
    for start in range(0, len(rewards), 4):
        group = [r for r in rewards[start : start + 4] if r is not None]
        for r in rewards[start : start + 4]:
            if r is None or len(group) == 1:
                found.append(0.0)
            elif scale is None:
                found.append(r - (sum(group) - r) / (len(group) - 1))
            else:
                deviation = {"group": statistics.stdev(group), "batch": statistics.stdev(kept), "none": 1.0}
                small = 0.0 if scale == "none" else 1e-4
                found.append((r - statistics.fmean(group)) / (deviation[scale] + small))
    return found


@pytest.mark.parametrize("scale", ["group", "batch", "none", None])
def test_a_response_without_reward_is_left_out_of_its_group(
    scale: str | None,
    job: TrainJob,
    group_trainers: list[Any],
    train_group: Any,
    metrics_of: Any,
    reward_functions: ModuleType,
) -> None:
    method, own = (RLOO, {}) if scale is None else (GRPO, {"scale_rewards": scale})
    reward_functions.by_place = by_place  # type: ignore[attr-defined]
    retried = {"reward": "reward_functions_of_a_test:by_place", "reward_retries": 0}
    train_group(method, job, rollouts=1, batch_size=16, **retried, **own)
    (rollout,) = group_trainers[0].rollouts
    dropped = [i for i, value in enumerate(rollout["rewards"]) if value is None]
    assert dropped == [1, 5, 9, 13, 14, 15]
    expected = expected_advantages(rollout["rewards"], scale)
    assert max(map(abs, expected)) > 0.1
    assert rollout["advantages"].tolist() == pytest.approx(expected, abs=1e-5)
    logged = metrics_of(job.output)[0]
    assert logged["dropped"] == 6
    given = [value for value in rollout["rewards"] if value is not None]
    assert logged["raw_reward"] == pytest.approx(statistics.fmean(given))


@pytest.mark.parametrize("loss_type", ["dapo", "bnpo", "grpo", "dr_grpo"])
def test_a_response_without_reward_moves_no_weight(
    loss_type: str, job: TrainJob, group_trainers: list[Any], train_group: Any, reward_functions: ModuleType
) -> None:
    """Loss and gradient, KL term included, are those of a batch without these responses."""
    import torch

    reward_functions.by_place = by_place  # type: ignore[attr-defined]
    retried = {"reward": "reward_functions_of_a_test:by_place", "reward_retries": 0}
    train_group(GRPO, job, rollouts=3, batch_size=16, beta=0.5, loss_type=loss_type, **retried)
    trainer, whole = group_trainers[0], group_trainers[0].rollouts[-1]
    trainer.model.train()
    kept = torch.tensor([value is not None for value in whole["rewards"]])
    without = {n: v[kept] if torch.is_tensor(v) and v.dim() else v for n, v in whole.items()}
    plain = {n: v for n, v in without.items() if n != "tool_mask"}  # as TRL makes it
    plain["num_items_in_batch"] = plain["completion_mask"].sum()

    def loss_and_gradient(batch: dict[str, Any]) -> tuple[float, Any]:
        trainer.model.zero_grad()
        loss = trainer._compute_loss(trainer.model, batch)
        loss.backward()
        return loss.item(), torch.cat([p.grad.flatten() for p in trainer.model.parameters()])

    # these two are means over responses, where one that is left out counts as one of loss zero
    share = 10 / 16 if loss_type in ("grpo", "dr_grpo") else 1.0
    (loss, gradient), (expected, of_others) = loss_and_gradient(whole), loss_and_gradient(plain)
    assert abs(expected) > 1e-3
    assert loss == pytest.approx(share * expected, rel=1e-4)
    assert (gradient - share * of_others).norm().item() < 1e-4 * of_others.norm().item()


def test_rewards_of_a_model_with_a_tokenizer_of_its_own_and_of_scorers_add_up(
    job: TrainJob, preferences: Path, tmp_path: Path, group_trainers: list[Any], make_policy: Any
) -> None:
    from jurist_trl.reward_model import RewardModel
    from jurist_trl.supervised.reward import Reward, RewardOptions

    other = make_policy(template="{% for m in messages %}{{ m.content }} {% endfor %}")
    trained = TrainJob(model=other, data=preferences, output=tmp_path / "reward")
    reward_model = Reward(RewardOptions(batch_size=8, max_steps=2)).train(trained, lambda _: None).path
    grpo = GRPO(
        GRPOOptions(
            batch_size=8, num_generations=4, max_completion_length=6, rollouts=1, reward_weights=(1.0, 0.5)
        )
    )
    asked: list[tuple[Any, Any]] = []

    def score(prompts: Any, responses: Any) -> list[float | None]:
        asked.append((prompts, responses))
        return [float(len(text)) for text in responses]

    grpo.score = score
    grpo.train(job.model_copy(update={"reward_models": (reward_model,)}), lambda _: None)
    (rollout,) = group_trainers[0].rollouts
    ((prompts, responses),) = asked
    assert list(responses) == rollout["texts"]
    scores = RewardModel(reward_model).score(prompts, responses)
    expected = [s + 0.5 * len(text) for s, text in zip(scores, responses, strict=True)]
    assert rollout["rewards"] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("method", METHODS)
def test_no_reward_at_all_stops_and_says_why(
    method: type[Trainer], job: TrainJob, reward_functions: ModuleType, train_group: Any
) -> None:
    def broken(prompts: Any, completions: list[str]) -> list[float | None]:
        raise ConnectionError("the judge is down")

    reward_functions.broken = broken  # type: ignore[attr-defined]
    said = r"no reward for any of 8 responses: ConnectionError: the judge is down"
    with pytest.raises(TrainingError, match=said):
        train_group(method, job, reward="reward_functions_of_a_test:broken", reward_retries=0)


def test_rewards_are_clipped_for_rloo_and_counted(
    job: TrainJob, group_trainers: list[Any], reward_functions: ModuleType, train_group: Any, metrics_of: Any
) -> None:
    def lengths(prompts: Any, completions: list[str]) -> list[float | None]:
        return [float(len(text.split())) for text in completions]

    reward_functions.lengths = lengths  # type: ignore[attr-defined]
    settings = {"reward": "reward_functions_of_a_test:lengths", "reward_clip": 4.0, "rollouts": 1}
    train_group(RLOO, job, batch_size=16, **settings)
    (rollout,) = group_trainers[0].rollouts
    clipped = [min(value, 4.0) for value in rollout["rewards"]]
    assert rollout["advantages"].tolist() == pytest.approx(expected_advantages(clipped, None), abs=1e-5)
    share = sum(value >= 4 for value in rollout["rewards"]) / 16
    assert share > 0
    assert metrics_of(job.output)[0]["reward_clipped"] == share
