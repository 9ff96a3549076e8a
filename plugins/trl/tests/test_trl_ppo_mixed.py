"""Conversations that PPO learns from beside rewards."""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

from jurist.train_jobs import TrainJob


def test_conversations_beside_rewards_are_learned_from_as_by_fine_tuning(
    ppo_job: TrainJob,
    train_ppo: Any,
    weights: Any,
    revisions: Path,
    ppo_trainers: list[Any],
    reward_functions: ModuleType,
) -> None:
    """With rewards that teach nothing, a step of the policy is the gradient of the language-model loss.

    Adam's epsilon is so large that a step is proportional to the gradient.
    """
    import torch
    from transformers import AutoModelForCausalLM

    scale = 1e-2
    job = ppo_job.model_copy(update={"mixed": revisions})
    settings = {
        "rollouts": 1,
        "kl_coef": 0.0,
        "whiten_advantages": False,
        "adam_epsilon": 1e5,
        "learning_rate": 1e5 * scale,
        "max_grad_norm": 1e9,
        "temperature": 0.7,
        "ptx_coef": 2.0,
        "reward": "reward_functions_of_a_test:none_good",
    }
    reward_functions.none_good = lambda prompts, texts: [0.0] * len(texts)  # type: ignore[attr-defined]
    results = []
    for accumulation in (1, 4):
        one = job.model_copy(update={"output": job.output / str(accumulation)})
        train_ppo(one, gradient_accumulation_steps=accumulation, **settings)
        results.append(weights(one.output / "model"))
    policy = AutoModelForCausalLM.from_pretrained(job.model)
    batch = ppo_trainers[0].mixed.batch(0, 8)
    policy(**batch).loss.backward()
    largest = max(p.grad.abs().max().item() for p in policy.parameters())
    for name, parameter in policy.named_parameters():
        for after in results:
            moved = (parameter.detach() - after[name]) / (2.0 * scale)
            assert torch.allclose(moved, parameter.grad, atol=1e-3 * largest), name


def test_conversations_are_shuffled_and_come_again(
    ppo_job: TrainJob, train_ppo: Any, revisions: Path, ppo_trainers: list[Any], metrics_of: Any
) -> None:
    train_ppo(ppo_job.model_copy(update={"mixed": revisions}), rollouts=12, learning_rate=1e-2)
    mixed = ppo_trainers[0].mixed
    rounds = [[mixed._row(place)[0] for place in range(first, first + 24)] for first in (0, 24)]
    assert rounds[0] != rounds[1]
    assert sorted(rounds[0]) == sorted(rounds[1])
    losses = [line["ptx_loss"] for line in metrics_of(ppo_job.output)]
    assert losses[-1] < 0.5 * losses[0]
