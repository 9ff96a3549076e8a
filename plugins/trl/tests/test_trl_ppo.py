"""PPO: it learns what it is rewarded for, and its options do what they say."""

from __future__ import annotations

import math
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from jurist.errors import TrainingError, UsageError
from jurist.train_jobs import TrainJob, TrainProgress
from jurist_trl.ppo.options import PPOOptions


def test_an_obvious_reward_rises(ppo_job: TrainJob, train_ppo: Any, metrics_of: Any) -> None:
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    seen: list[TrainProgress] = []
    artifact = train_ppo(
        ppo_job, seen.append, rollouts=15, batch_size=32, ppo_epochs=2, mini_batches=2, kl_coef=0.01
    )
    assert list(seen[0].metrics)[:4] == ["raw_reward", "kl", "length", "loss"]
    logged = [line for line in metrics_of(ppo_job.output) if "raw_reward" in line]
    assert len(logged) == 15
    assert logged[0]["raw_reward"] < 1.0
    assert logged[-1]["raw_reward"] > 2.5
    assert logged[0]["kl"] == pytest.approx(0, abs=1e-5)
    assert logged[-1]["kl"] > 1
    for name in ("reward", "length", "eos_rate", "explained_variance", "kl_coef", "dropped", "entropy"):
        assert all(math.isfinite(line[name]) for line in logged), name
    assert AutoModelForCausalLM.from_pretrained(artifact.path).num_parameters() > 0
    values = AutoModelForSequenceClassification.from_pretrained(ppo_job.output / "value_model")
    assert values.score.weight.abs().max().item() > 0  # it started at zero, so it was trained and saved


def test_the_value_model_learns_to_expect_the_reward(
    ppo_job: TrainJob, train_ppo: Any, metrics_of: Any
) -> None:
    train_ppo(
        ppo_job,
        rollouts=15,
        batch_size=32,
        ppo_epochs=2,
        learning_rate=1e-5,
        value_learning_rate=3e-3,
        clip_range_value=5.0,
        lr_scheduler="constant",
        reward="reward_functions_of_a_test:asked_for_red",
    )
    explained = [x["explained_variance"] for x in metrics_of(ppo_job.output) if "explained_variance" in x]
    assert explained[0] == pytest.approx(0, abs=1e-3)  # it starts by valuing everything at 0
    assert sum(explained[-3:]) / 3 > 0.5


def test_gradient_accumulation_makes_the_step_of_the_larger_batch(
    ppo_job: TrainJob, train_ppo: Any, weights: Any
) -> None:
    """Without clipping and with Adam's epsilon so large that a step is proportional to the gradient."""
    results = []
    for accumulation in (1, 4):
        one = ppo_job.model_copy(update={"output": ppo_job.output / str(accumulation)})
        train_ppo(
            one,
            rollouts=1,
            gradient_accumulation_steps=accumulation,
            adam_epsilon=1e3,
            learning_rate=10.0,
            max_grad_norm=1e9,
        )
        results.append((weights(one.output / "model"), weights(one.output / "value_model")))
    start = weights(ppo_job.model)
    moved = max((results[0][0][n] - start[n]).abs().max().item() for n in start)
    assert moved > 1e-4
    for a, b in zip(*results, strict=True):
        assert max((a[n] - b[n]).abs().max().item() for n in a) < 1e-2 * moved


def test_rates_of_both_networks_change_each_in_its_way(
    ppo_job: TrainJob, train_ppo: Any, ppo_trainers: list[Any]
) -> None:
    """One of them linearly from the second of four steps on, after warm-up; the other not."""
    rates: list[list[float]] = []

    def progress(seen: TrainProgress) -> None:
        rates.append([group["lr"] for group in ppo_trainers[0].optimizer.param_groups])

    settings = {"learning_rate": 1e-3, "value_learning_rate": 4e-3, "warmup": 1, "rollouts": 4}
    train_ppo(ppo_job, progress, value_lr_scheduler="constant_with_warmup", **settings)
    policy = [1e-3, 2e-3 / 3, 1e-3 / 3, 0.0]  # of the step that follows
    assert rates == [pytest.approx([rate, rate, 4e-3, 4e-3]) for rate in policy]
    same = ppo_job.model_copy(update={"output": ppo_job.output / "same"})
    del rates[:], ppo_trainers[0]
    train_ppo(same, progress, **settings)
    assert rates == [pytest.approx([rate, rate, 4 * rate, 4 * rate]) for rate in policy]


def test_the_policy_rests_while_the_value_model_warms_up(
    ppo_job: TrainJob, train_ppo: Any, weights: Any
) -> None:
    import torch

    train_ppo(ppo_job, value_warmup_rollouts=2)
    before, after = weights(ppo_job.model), weights(ppo_job.output / "model")
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert weights(ppo_job.output / "value_model")["score.weight"].abs().max().item() > 0


def test_values_and_log_probabilities_belong_to_their_tokens(
    ppo_job: TrainJob, train_ppo: Any, ppo_trainers: list[Any]
) -> None:
    """Batched, padded on the left and in micro-batches, against one unpadded row at a time."""
    import torch

    train_ppo(
        ppo_job,
        rollouts=1,
        learning_rate=1e-12,
        temperature=0.7,
        gradient_accumulation_steps=4,
        value_model="fresh",
    )
    trainer, rollout = ppo_trainers[0], ppo_trainers[0].rollouts[0]
    torch.nn.init.normal_(trainer.value_model.model.score.weight)
    with torch.no_grad():
        batched = trainer._values(rollout)
        for i in range(8):
            prompt = rollout["prompt_ids"][i][rollout["prompt_mask"][i].bool()]
            response = rollout["completion_ids"][i][rollout["completion_mask"][i].bool()]
            ids = torch.cat([prompt, response])[None]
            logits = trainer.model(input_ids=ids).logits[0, len(prompt) - 1 : -1] / 0.7
            logps = logits.log_softmax(-1).gather(1, response[:, None])[:, 0]
            hidden = trainer.value_model.model.model(input_ids=ids).last_hidden_state
            values = trainer.value_model.model.score(hidden)[0, len(prompt) - 1 : -1, 0]
            assert torch.allclose(rollout["old_logps"][i, : len(response)], logps, atol=1e-5)
            assert torch.allclose(batched[i, : len(response)], values, atol=1e-5)


def test_a_policy_that_blew_up_stops_and_names_the_last_good_checkpoint(
    ppo_job: TrainJob, train_ppo: Any
) -> None:
    settings = {"learning_rate": 1e30, "lr_scheduler": "constant", "save_steps": 1, "rollouts": 4}
    with pytest.raises(TrainingError, match=r"not (a )?finite number.*checkpoint-1\n") as caught:
        train_ppo(ppo_job, **settings)
    assert "lower learning_rate" in str(caught.value)


def test_settings_that_cannot_work_are_refused_early(
    ppo_job: TrainJob, train_ppo: Any, make_policy: Any, reward_model: Path, prompts: Path
) -> None:
    with pytest.raises(UsageError, match="there are no rewards"):
        train_ppo(ppo_job, reward=None)
    with pytest.raises(UsageError, match="value_model: reward_model needs a reward model"):
        train_ppo(ppo_job, value_model="reward_model")
    with pytest.raises(UsageError, match="PPO trains two networks"):
        train_ppo(ppo_job, fsdp={})
    with pytest.raises(UsageError, match="could not be loaded"):
        train_ppo(ppo_job, reward="reward_functions_of_a_test:missing")
    with pytest.raises(UsageError, match="none of the 12 prompts has at most 2 tokens"):
        train_ppo(ppo_job, max_prompt_length=2)
    with pytest.raises(ValueError, match="batch_size must be a multiple of mini_batches"):
        PPOOptions(batch_size=8, mini_batches=3)


def test_gradient_checkpointing_changes_no_weight(ppo_job: TrainJob, train_ppo: Any, weights: Any) -> None:
    plain = ppo_job.model_copy(update={"output": ppo_job.output / "plain"})
    saving = ppo_job.model_copy(update={"output": ppo_job.output / "saving"})
    train_ppo(plain, rollouts=1)
    train_ppo(saving, rollouts=1, gradient_checkpointing=True)
    for folder in ("model", "value_model"):
        a, b = weights(plain.output / folder), weights(saving.output / folder)
        assert max((a[name] - b[name]).abs().max().item() for name in a) < 1e-6


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")
def test_adapters_train_and_are_merged(
    ppo_job: TrainJob, train_ppo: Any, weights: Any, metrics_of: Any
) -> None:
    import torch

    train_ppo(ppo_job, lora={"rank": 4, "target_modules": ["q_proj", "v_proj"]})
    before, after = weights(ppo_job.model), weights(ppo_job.output / "model")
    changed = {name for name in before if not torch.equal(before[name], after[name])}
    assert changed == {f"model.layers.{i}.self_attn.{p}_proj.weight" for i in (0, 1) for p in "qv"}
    assert metrics_of(ppo_job.output)[0]["kl"] == pytest.approx(0, abs=1e-5)


def test_a_policy_that_went_too_far_rests_until_the_next_rollout(
    ppo_job: TrainJob, train_ppo: Any, weights: Any, metrics_of: Any
) -> None:
    """With a limit that every step passes, the four epochs of a rollout teach the policy what one does."""
    import torch

    settings = {"rollouts": 1, "lr_scheduler": "constant", "weight_decay": 0.1}
    once, stopped = (ppo_job.model_copy(update={"output": ppo_job.output / name}) for name in ("a", "b"))
    train_ppo(once, **settings)
    train_ppo(stopped, ppo_epochs=4, kl_stop=1e-9, **settings)
    a, b = weights(once.output / "model"), weights(stopped.output / "model")
    assert all(torch.equal(a[name], b[name]) for name in a)
    a, b = weights(once.output / "value_model"), weights(stopped.output / "value_model")
    assert not all(torch.equal(a[name], b[name]) for name in a)
    logged = metrics_of(stopped.output)
    assert [line["kl_stopped"] for line in logged] == [0, 1, 1, 1]
    assert [line["approx_kl"] > 1e-9 for line in logged] == [False, True, True, True]

    two = ppo_job.model_copy(update={"output": ppo_job.output / "c"})
    train_ppo(two, ppo_epochs=3, kl_stop=1e-9, **{**settings, "rollouts": 2})
    assert [line["kl_stopped"] for line in metrics_of(two.output)] == [0, 1, 1, 0, 1, 1]


def test_vllm_is_asked_for_by_name_where_it_is_not_installed(ppo_job: TrainJob, train_ppo: Any) -> None:
    with pytest.raises(UsageError, match="use_vllm needs the package vllm"):
        train_ppo(ppo_job, use_vllm=True)
    with pytest.raises(ValueError, match="vllm_server_base_url needs use_vllm"):
        PPOOptions(vllm_server_base_url="http://127.0.0.1:8000")


def test_what_scorers_will_be_asked_is_known_beforehand(
    ppo_job: TrainJob, train_ppo: Any, prompts: Path, reward_functions: ModuleType
) -> None:
    from jurist.train_jobs import Samples
    from jurist_trl.ppo.component import PPO

    scored: list[int] = []
    measured: list[int] = []

    def count(into: list[int]) -> Any:
        def score(asked: Any, texts: list[str]) -> list[float | None]:
            into.append(len(texts))
            return [1.0] * len(texts)

        return score

    settings = {"epochs": 2.5, "batch_size": 8, "ppo_epochs": 2, "eval_steps": 3, "max_completion_length": 5}
    reward_functions.counted = count(scored)  # type: ignore[attr-defined]
    job = ppo_job.model_copy(update={"held_out": prompts})
    reward = f"{reward_functions.__name__}:counted"
    train_ppo(job, measure=count(measured), rollouts=None, reward=reward, **settings)
    ppo = PPO(PPOOptions(**settings))
    assert ppo.samples(12, 1) == Samples(responses=sum(scored), max_tokens=5)
    assert ppo.measurements(12, 12, 1) == Samples(responses=sum(measured), max_tokens=5)
    assert ppo.samples(12, 2) == Samples(responses=2 * 8 * 2, max_tokens=5)
