"""GRPO and RLOO: they learn, resume exactly, and take the steps that were asked for."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jurist.contracts import Trainer
from jurist.errors import TrainingError, UsageError
from jurist.train_jobs import TrainJob, TrainProgress
from jurist_trl.groups.component import GRPO, RLOO
from jurist_trl.groups.options import GRPOOptions, RLOOOptions

METHODS = [GRPO, RLOO]


@pytest.fixture
def job(policy: Path, prompts: Path, tmp_path: Path) -> TrainJob:
    return TrainJob(model=policy, data=prompts, output=tmp_path, seed=2)


@pytest.mark.parametrize("method", METHODS)
def test_an_obvious_reward_rises(
    method: type[Trainer], job: TrainJob, train_group: Any, metrics_of: Any
) -> None:
    from transformers import AutoModelForCausalLM

    seen: list[TrainProgress] = []
    artifact = train_group(method, job, seen.append, rollouts=20, batch_size=32, beta=0.01)
    logged = metrics_of(job.output)
    assert list(seen[0].metrics)[:4] == ["raw_reward", "kl", "length", "loss"]
    assert len(logged) == 20
    assert logged[0]["raw_reward"] < 1.0
    assert logged[-1]["raw_reward"] > 4
    assert logged[0]["kl"] == pytest.approx(0, abs=1e-5)
    assert 3 < logged[-1]["kl"] < 30  # per response of 6 tokens, not per token
    assert logged[0]["eos_rate"] > 0 == logged[-1]["eos_rate"]
    assert not [name for name in logged[0] if name.startswith("rewards/")]
    assert AutoModelForCausalLM.from_pretrained(artifact.path).num_parameters() > 0


@pytest.mark.parametrize("method", METHODS)
def test_killed_and_resumed_training_ends_bit_identical(
    method: type[Trainer], job: TrainJob, weights: Any, kill_at: Any, train_group: Any, metrics_of: Any
) -> None:
    """Four optimizer steps per rollout, a crash in the middle of the third rollout."""
    import torch

    settings = {"rollouts": 4, "mini_batches": 2, "num_iterations": 2, "save_steps": 5}
    whole = job.model_copy(update={"output": job.output / "whole"})
    halved = job.model_copy(update={"output": job.output / "halved"})
    train_group(method, whole, **settings)
    with pytest.raises(Exception, match="at step 11"):
        train_group(method, halved, kill_at(11), **settings)
    resumed: list[TrainProgress] = []
    train_group(method, halved, resumed.append, **settings)

    assert [p.step for p in resumed] == list(range(9, 17))  # save_steps 5 became 8: between two rollouts
    a, b = weights(whole.output / "model"), weights(halved.output / "model")
    assert a.keys() == b.keys()
    assert all(torch.equal(a[name], b[name]) for name in a)
    first, second = (
        [{k: v for k, v in line.items() if k != "step_time"} for line in metrics_of(j.output)]
        for j in (whole, halved)
    )
    assert first == second
    assert [line["step"] for line in first if "raw_reward" in line] == [1, 5, 9, 13]
    assert [line["step"] for line in first if "boilerplate_rate" in line] == [1, 5, 9, 13]
    assert all(("kl" in line) == ("raw_reward" in line) for line in first)


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize(("mini_batches", "accumulation", "iterations"), [(1, 1, 1), (2, 2, 1), (2, 1, 3)])
def test_as_many_optimizer_steps_as_asked_for(
    method: type[Trainer],
    job: TrainJob,
    group_trainers: list[Any],
    mini_batches: int,
    accumulation: int,
    iterations: int,
    train_group: Any,
) -> None:
    seen: list[TrainProgress] = []
    settings = {"gradient_accumulation_steps": accumulation, "num_iterations": iterations}
    train_group(method, job, seen.append, mini_batches=mini_batches, **settings)
    expected = 2 * mini_batches * iterations
    assert len(seen) == expected
    assert seen[-1].total == expected
    states = group_trainers[0].optimizer.state_dict()["state"].values()
    assert {int(state["step"]) for state in states} == {expected}
    assert len(group_trainers[0].rollouts) == 2


@pytest.mark.parametrize("method", METHODS)
def test_padding_that_is_the_end_token_does_no_harm(
    method: type[Trainer],
    make_policy: Any,
    prompts: Path,
    tmp_path: Path,
    group_trainers: list[Any],
    train_group: Any,
    metrics_of: Any,
) -> None:
    job = TrainJob(model=make_policy(pad="<eos>"), data=prompts, output=tmp_path)
    train_group(method, job, rollouts=1, batch_size=32, max_completion_length=12)
    (rollout,) = group_trainers[0].rollouts
    end = group_trainers[0].processing_class.eos_token_id
    rows = zip(rollout["completion_ids"], rollout["completion_mask"], rollout["texts"], strict=True)
    ended = 0
    for ids, mask, text in rows:
        tokens = ids[mask.bool()].tolist()
        stopped = tokens[-1] == end
        ended += stopped
        assert tokens.count(end) == int(stopped)  # the end itself is learnt, and no padding
        assert group_trainers[0].processing_class.decode(tokens, skip_special_tokens=True) == text
    assert 0 < ended < 32
    assert metrics_of(tmp_path)[0]["eos_rate"] == pytest.approx(ended / 32)


@pytest.mark.parametrize("method", METHODS)
def test_truncated_responses_can_be_left_out_of_the_loss(
    method: type[Trainer], job: TrainJob, group_trainers: list[Any], train_group: Any
) -> None:
    train_group(method, job, rollouts=1, batch_size=32, mask_truncated_completions=True)
    (rollout,) = group_trainers[0].rollouts
    end = group_trainers[0].processing_class.eos_token_id
    masks = zip(rollout["completion_ids"], rollout["completion_mask"], strict=True)
    assert {bool(mask.any()) == bool((ids == end).any()) for ids, mask in masks} == {True}
    assert 0 < rollout["completion_mask"].any(dim=1).sum().item() < 32


def test_few_prompts_are_used_again_and_texts_are_messages_of_the_user(
    job: TrainJob, group_trainers: list[Any], train_group: Any, write_rows: Any
) -> None:
    lines = [{"prompt": "say red please"}, {"prompt": [{"role": "user", "content": "say one please"}]}]
    long = {"prompt": "say " + "red " * 20 + "please"}
    few = write_rows(job.output / "few.jsonl", [*lines, long])
    artifact = train_group(GRPO, job.model_copy(update={"data": few}), batch_size=24, max_prompt_length=10)
    assert artifact.metrics["prompts"] == 2
    assert artifact.metrics["prompts_too_long"] == 1
    asked = [row["prompt"] for row in group_trainers[0].train_dataset]
    assert len(asked) == 2 * 24 / 4
    assert asked.count([{"role": "user", "content": "say red please"}]) == 6
    assert asked.count([{"role": "user", "content": "say one please"}]) == 6
    per_prompt = [tuple(ids.tolist()) for ids in group_trainers[0].rollouts[0]["prompt_ids"]]
    assert all(len(set(per_prompt[i : i + 4])) == 1 for i in range(0, 24, 4))


def test_settings_that_cannot_work_are_refused_early(job: TrainJob, train_group: Any) -> None:
    with pytest.raises(UsageError, match="there are no rewards"):
        train_group(RLOO, job, reward=None)
    with pytest.raises(UsageError, match="none of the 12 prompts has at most 2 tokens"):
        train_group(GRPO, job, max_prompt_length=2)
    with pytest.raises(UsageError, match="vllm"):
        train_group(GRPO, job, use_vllm=True)
    with pytest.raises(ValueError, match="batch_size must be a multiple of num_generations"):
        GRPOOptions(batch_size=8, num_generations=3)
    with pytest.raises(ValueError, match="batch_size must be a multiple of mini_batches"):
        RLOOOptions(batch_size=8, mini_batches=3)


@pytest.mark.parametrize("method", METHODS)
def test_a_policy_that_blew_up_stops_and_names_the_last_good_checkpoint(
    method: type[Trainer], job: TrainJob, train_group: Any
) -> None:
    settings = {"learning_rate": 1e30, "lr_scheduler": "constant", "save_steps": 1, "rollouts": 4}
    with pytest.raises(TrainingError, match=r"not (a )?finite number.*checkpoint-1\n"):
        train_group(method, job, **settings)


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")
@pytest.mark.parametrize("method", METHODS)
def test_adapters_train_merge_and_resume(
    method: type[Trainer], job: TrainJob, weights: Any, kill_at: Any, train_group: Any, metrics_of: Any
) -> None:
    import torch

    settings = {"lora": {"rank": 4, "target_modules": ["q_proj", "v_proj"]}, "rollouts": 4, "save_steps": 2}
    settings |= {"batch_size": 16}
    whole = job.model_copy(update={"output": job.output / "whole"})
    halved = job.model_copy(update={"output": job.output / "halved"})
    train_group(method, whole, **settings)
    with pytest.raises(Exception, match="at step 3"):
        train_group(method, halved, kill_at(3), **settings)
    train_group(method, halved, **settings)
    before, a, b = weights(job.model), weights(whole.output / "model"), weights(halved.output / "model")
    changed = {name for name in before if not torch.equal(before[name], a[name])}
    assert changed == {f"model.layers.{i}.self_attn.{p}_proj.weight" for i in (0, 1) for p in "qv"}
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert metrics_of(whole.output)[0]["kl"] == pytest.approx(0, abs=1e-5)


@pytest.mark.parametrize("method", METHODS)
def test_measuring_held_out_prompts_changes_no_weight(
    method: type[Trainer],
    job: TrainJob,
    train_group: Any,
    metrics_of: Any,
    weights: Any,
    reward_functions: Any,
) -> None:
    import torch

    plain = job.model_copy(update={"output": job.output / "plain"})
    measured = job.model_copy(update={"output": job.output / "measured", "held_out": job.data})
    asked: list[int] = []

    def measure(prompts: Any, completions: list[str]) -> list[float | None]:
        asked.append(len(completions))
        return [float(len(asked))] * len(completions)

    reward_functions.measure = measure
    metric = f"{reward_functions.__name__}:measure"
    train_group(method, plain, rollouts=3)
    train_group(method, measured, rollouts=3, metric=metric, eval_steps=2)
    assert asked == [12, 12, 12]  # before, after two steps, at the end
    lines = [line for line in metrics_of(measured.output) if "held_out_metric" in line]
    assert [(line["step"], line["held_out_metric"]) for line in lines] == [(0, 1), (2, 2), (3, 3)]
    a, b = weights(plain.output / "model"), weights(measured.output / "model")
    assert all(torch.equal(a[name], b[name]) for name in a)


def test_conversations_to_mix_in_are_refused(job: TrainJob, train_group: Any, revisions: Path) -> None:
    with pytest.raises(UsageError, match="no conversations can be mixed into this training"):
        train_group(GRPO, job.model_copy(update={"mixed": revisions}))
