"""PPO: it learns, resumes exactly, and has none of the faults of the PPO that TRL removed."""

from __future__ import annotations

import json
import math
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from jurist.contracts import Artifact, TrainJob, TrainProgress
from jurist.errors import TrainingError, UsageError
from jurist_trl.ppo import PPO, PPOOptions

FAST = {
    "rollouts": 2,
    "batch_size": 8,
    "ppo_epochs": 1,
    "max_completion_length": 6,
    "learning_rate": 3e-3,
    "reward": "rewards_of_this_test:goods",
}


def train(
    job: TrainJob, progress: Callable[[TrainProgress], None] = lambda _: None, **options: Any
) -> Artifact:
    return PPO(PPOOptions(**{**FAST, **options})).train(job, progress)


@pytest.fixture(autouse=True)
def rewards() -> Iterator[ModuleType]:
    """Reward functions, importable by name as a user's are."""
    module = ModuleType("rewards_of_this_test")

    def goods(prompts: Any, completions: list[str]) -> list[float | None]:
        return [float(text.split().count("good")) for text in completions]

    async def goods_async(prompts: Any, completions: list[str]) -> list[float | None]:
        return goods(prompts, completions)

    def asked_for_red(prompts: Any, completions: list[str]) -> list[float | None]:
        return [2.0 * ("red" in p[0]["content"] or "one" in p[0]["content"]) for p in prompts]

    vars(module).update(asked_for_red=asked_for_red, goods=goods, goods_async=goods_async)
    sys.modules[module.__name__] = module
    yield module
    del sys.modules[module.__name__]


@pytest.fixture
def job(policy: Path, prompts: Path, tmp_path: Path) -> TrainJob:
    return TrainJob(model=policy, data=prompts, output=tmp_path, seed=2)


@pytest.fixture(scope="module")
def reward_model(policy: Path, preferences: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from jurist_trl.reward import Reward, RewardOptions

    job = TrainJob(model=policy, data=preferences, output=tmp_path_factory.mktemp("reward"))
    options = RewardOptions(batch_size=8, learning_rate=3e-3, epochs=2)
    return Reward(options).train(job, lambda _: None).path


@pytest.fixture
def trainers(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The PPOTrainers that are made, to look into after training."""
    from jurist_trl import _ppo_run

    made: list[Any] = []

    class Kept(_ppo_run.PPOTrainer):
        def __init__(self, **arguments: Any) -> None:
            super().__init__(**arguments)
            self.rollouts: list[dict[str, Any]] = []
            made.append(self)

        def _generate_and_score_completions(self, inputs: Any) -> Any:
            batch = super()._generate_and_score_completions(inputs)
            self.rollouts.append(batch)
            return batch

    monkeypatch.setattr(_ppo_run, "PPOTrainer", Kept)
    return made


def metrics_of(output: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


def test_an_obvious_reward_rises(job: TrainJob) -> None:
    from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

    seen: list[TrainProgress] = []
    artifact = train(job, seen.append, rollouts=15, batch_size=32, ppo_epochs=2, mini_batches=2, kl_coef=0.01)
    assert list(seen[0].metrics)[:5] == ["loss", "reward", "raw_reward", "kl", "length"]
    logged = [line for line in metrics_of(job.output) if "raw_reward" in line]
    assert len(logged) == 15
    assert logged[0]["raw_reward"] < 1.0
    assert logged[-1]["raw_reward"] > 2.5
    assert logged[0]["kl"] == pytest.approx(0, abs=1e-5)
    assert logged[-1]["kl"] > 1
    for name in ("reward", "length", "eos_rate", "explained_variance", "kl_coef", "dropped", "entropy"):
        assert all(math.isfinite(line[name]) for line in logged), name
    assert AutoModelForCausalLM.from_pretrained(artifact.path).num_parameters() > 0
    values = AutoModelForSequenceClassification.from_pretrained(job.output / "value_model")
    assert values.score.weight.abs().max().item() > 0  # it started at zero, so it was trained and saved


def test_the_value_model_learns_to_expect_the_reward(job: TrainJob) -> None:
    train(
        job,
        rollouts=15,
        batch_size=32,
        ppo_epochs=2,
        learning_rate=1e-5,
        value_learning_rate=3e-3,
        clip_range_value=5.0,
        lr_scheduler="constant",
        reward="rewards_of_this_test:asked_for_red",
    )
    explained = [x["explained_variance"] for x in metrics_of(job.output) if "explained_variance" in x]
    assert explained[0] == pytest.approx(0, abs=1e-3)  # it starts by valuing everything at 0
    assert sum(explained[-3:]) / 3 > 0.5


def test_rewards_come_from_a_reward_model_and_the_value_model_starts_there(
    job: TrainJob, reward_model: Path, trainers: list[Any], weights: Any
) -> None:
    import torch

    settings = {"reward": None, "rollouts": 1, "learning_rate": 1e-12}
    train(job.model_copy(update={"reward_model": reward_model}), **settings)
    values = trainers[0].value_model.model.state_dict()
    start = weights(reward_model)
    assert all(torch.allclose(values[name], start[name], atol=1e-8) for name in start)

    from jurist_trl.scoring import RewardModel

    rollout, tokenizer = trainers[0].rollouts[0], trainers[0].processing_class
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
    assert metrics_of(job.output)[0]["raw_reward"] == pytest.approx(sum(scores) / len(scores), abs=1e-4)


def test_killed_and_resumed_training_ends_bit_identical(job: TrainJob, weights: Any, kill_at: Any) -> None:
    """Two optimizer steps per rollout, a crash in the middle of the fourth rollout, adaptive KL."""
    import torch

    settings = {"rollouts": 5, "ppo_epochs": 2, "save_steps": 3, "kl_target": 1.0, "kl_horizon": 50}
    whole = job.model_copy(update={"output": job.output / "whole"})
    halved = job.model_copy(update={"output": job.output / "halved"})
    train(whole, **settings)
    with pytest.raises(Exception, match="at step 7"):
        train(halved, kill_at(7), **settings)
    resumed: list[TrainProgress] = []
    train(halved, resumed.append, **settings)

    assert [p.step for p in resumed] == [5, 6, 7, 8, 9, 10]  # save_steps 3 became 4: between two rollouts
    for folder in ("model", "value_model"):
        a, b = weights(whole.output / folder), weights(halved.output / folder)
        assert a.keys() == b.keys()
        assert all(torch.equal(a[name], b[name]) for name in a), folder
    timed = {"step_time"}
    first, second = (
        [{k: v for k, v in line.items() if k not in timed} for line in metrics_of(j.output)]
        for j in (whole, halved)
    )
    assert first == second
    assert first[0]["kl_coef"] != first[-2]["kl_coef"]


@pytest.mark.parametrize(
    ("mini_batches", "accumulation", "epochs"), [(1, 1, 1), (2, 2, 1), (4, 1, 3), (1, 4, 2)]
)
def test_as_many_optimizer_steps_as_asked_for(
    job: TrainJob, trainers: list[Any], mini_batches: int, accumulation: int, epochs: int
) -> None:
    seen: list[TrainProgress] = []
    train(
        job,
        seen.append,
        mini_batches=mini_batches,
        gradient_accumulation_steps=accumulation,
        ppo_epochs=epochs,
        lr_scheduler="constant",
    )
    expected = 2 * mini_batches * epochs
    assert len(seen) == expected
    assert seen[-1].total == expected
    states = trainers[0].optimizer.state_dict()["state"].values()
    assert {int(state["step"]) for state in states} == {expected}  # of both networks' parameters
    assert len(trainers[0].rollouts) == 2
    assert all(p.metrics["ratio"] == pytest.approx(1, abs=1e-5) for p in seen[:: mini_batches * epochs])


def test_gradient_accumulation_makes_the_step_of_the_larger_batch(job: TrainJob, weights: Any) -> None:
    """Without clipping and with Adam's epsilon so large that a step is proportional to the gradient."""
    results = []
    for accumulation in (1, 4):
        one = job.model_copy(update={"output": job.output / str(accumulation)})
        train(
            one,
            rollouts=1,
            gradient_accumulation_steps=accumulation,
            adam_epsilon=1e3,
            learning_rate=10.0,
            max_grad_norm=1e9,
        )
        results.append((weights(one.output / "model"), weights(one.output / "value_model")))
    start = weights(job.model)
    moved = max((results[0][0][n] - start[n]).abs().max().item() for n in start)
    assert moved > 1e-4
    for a, b in zip(*results, strict=True):
        assert max((a[n] - b[n]).abs().max().item() for n in a) < 1e-2 * moved


def test_both_networks_are_clipped_and_cleared(
    job: TrainJob, trainers: list[Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    norms: list[tuple[float, float]] = []
    step = torch.optim.AdamW.step

    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        networks = (trainers[0].model, trainers[0].value_model)
        norms.append(
            tuple(  # type: ignore[arg-type]
                torch.stack([p.grad.norm() for p in n.parameters() if p.grad is not None]).norm().item()
                for n in networks
            )
        )
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    train(job, max_grad_norm=1e-3, whiten_advantages=False, rollouts=3)
    assert len(norms) == 3
    assert all(p == pytest.approx(1e-3, rel=1e-2) and v == pytest.approx(1e-3, rel=1e-2) for p, v in norms)
    assert all(p.grad is None for p in trainers[0].value_model.parameters())
    first = metrics_of(job.output)[0]
    assert first["grad_norm"] > 1e-2 < first["value_grad_norm"]  # logged before clipping


def test_rates_of_both_networks_differ_and_decay(job: TrainJob, trainers: list[Any]) -> None:
    train(job, learning_rate=1e-3, value_learning_rate=4e-3, lr_scheduler="constant")
    assert [group["lr"] for group in trainers[0].optimizer.param_groups] == [1e-3, 1e-3, 4e-3]


def test_the_policy_rests_while_the_value_model_warms_up(job: TrainJob, weights: Any) -> None:
    import torch

    train(job, value_warmup_rollouts=2)
    before, after = weights(job.model), weights(job.output / "model")
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert weights(job.output / "value_model")["score.weight"].abs().max().item() > 0


def test_values_and_log_probabilities_belong_to_their_tokens(job: TrainJob, trainers: list[Any]) -> None:
    """Batched, padded on the left and in micro-batches, against one unpadded row at a time."""
    import torch

    train(
        job,
        rollouts=1,
        learning_rate=1e-12,
        temperature=0.7,
        gradient_accumulation_steps=4,
        value_model="fresh",
    )
    trainer, rollout = trainers[0], trainers[0].rollouts[0]
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


@pytest.mark.parametrize("pad", ["<pad>", "<eos>"])
def test_the_score_is_read_at_the_last_token_even_when_padding_is_the_end_token(
    make_policy: Any, prompts: Path, tmp_path: Path, trainers: list[Any], pad: str
) -> None:
    job = TrainJob(model=make_policy(pad=pad), data=prompts, output=tmp_path)
    settings = {
        "kl_coef": 0.0,
        "gamma": 1.0,
        "gae_lambda": 1.0,
        "missing_eos_penalty": 10.0,
        "batch_size": 32,
    }
    train(job, rollouts=1, max_completion_length=12, **settings)
    rollout, tokenizer = trainers[0].rollouts[0], trainers[0].processing_class
    ended = 0
    for ids, mask, returns in zip(
        rollout["completion_ids"], rollout["completion_mask"], rollout["returns"], strict=True
    ):
        tokens = ids[mask.bool()].tolist()
        stopped = tokens[-1] == tokenizer.eos_token_id
        ended += stopped
        assert tokens.count(tokenizer.eos_token_id) == int(stopped)
        score = tokens.count(tokenizer.convert_tokens_to_ids("good")) - (0 if stopped else 10)
        assert returns[: len(tokens)].tolist() == pytest.approx([score] * len(tokens), abs=1e-4)
        assert returns[len(tokens) :].tolist() == [0] * (12 - len(tokens) - (12 - len(returns)))
    assert 0 < ended < 32
    assert metrics_of(tmp_path)[0]["eos_rate"] == pytest.approx(ended / 32)


def test_a_failed_reward_is_asked_again_then_left_out_of_the_loss(
    job: TrainJob, rewards: ModuleType, trainers: list[Any], weights: Any
) -> None:
    """What a dropped response scores must not matter to any weight: train with two different ones."""
    import torch

    asked: list[int] = []

    def flaky(prompts: Any, completions: list[str]) -> list[float | None]:
        asked.append(len(completions))
        return [None if "red" in text or not text else float(len(text)) for text in completions]

    rewards.flaky = flaky  # type: ignore[attr-defined]
    train(job, reward="rewards_of_this_test:flaky", reward_retries=1, rollouts=1, batch_size=16)
    rollout = trainers[0].rollouts[0]
    dropped = int((rollout["mask"].sum(dim=1) == 0).sum())
    assert 0 < dropped < 16
    assert sorted(asked) == sorted([16, dropped])
    logged = metrics_of(job.output)[0]
    assert logged["dropped"] == dropped
    gone = rollout["mask"].sum(dim=1) == 0
    assert rollout["advantages"][gone].abs().max().item() == 0
    kept = rollout["advantages"][rollout["mask"].bool()]
    assert kept.mean().item() == pytest.approx(0, abs=1e-5)  # whitened over the others alone
    assert kept.std(unbiased=False).item() == pytest.approx(1, abs=1e-3)
    assert torch.isfinite(kept).all()


def test_no_reward_at_all_stops_and_says_why(job: TrainJob, rewards: ModuleType) -> None:
    def broken(prompts: Any, completions: list[str]) -> list[float | None]:
        raise ConnectionError("the judge is down")

    rewards.broken = broken  # type: ignore[attr-defined]
    with pytest.raises(
        TrainingError, match=r"no reward for any of 8 responses: ConnectionError: the judge is down"
    ):
        train(job, reward="rewards_of_this_test:broken", reward_retries=0)


def test_a_policy_that_blew_up_stops_and_names_the_last_good_checkpoint(job: TrainJob) -> None:
    settings = {"learning_rate": 1e30, "lr_scheduler": "constant", "save_steps": 1, "rollouts": 4}
    with pytest.raises(TrainingError, match=r"not (a )?finite number.*checkpoint-1\n") as caught:
        train(job, **settings)
    assert "lower learning_rate" in str(caught.value)


def test_rewards_may_be_async(job: TrainJob) -> None:
    first = train(job, reward="rewards_of_this_test:goods_async")
    second = train(job.model_copy(update={"output": job.output / "plain"}))
    assert first.metrics["raw_reward"] == second.metrics["raw_reward"]


def test_fewer_prompts_than_a_rollout_takes_are_used_again(job: TrainJob, trainers: list[Any]) -> None:
    few = job.output / "few.jsonl"
    few.write_text("".join(Path(job.data).read_text().splitlines(keepends=True)[:3]))
    artifact = train(job.model_copy(update={"data": few}), rollouts=2, num_generations=2)
    assert artifact.metrics["prompts"] == 3
    asked = [row["prompt"][0]["content"] for row in trainers[0].train_dataset]
    assert len(asked) == 8
    assert all(2 <= asked.count(prompt) <= 3 for prompt in set(asked))
    per_prompt = [tuple(ids.tolist()) for ids in trainers[0].rollouts[0]["prompt_ids"]]
    assert [per_prompt[i] == per_prompt[i + 1] for i in (0, 2, 4, 6)] == [True] * 4


def test_settings_that_cannot_work_are_refused_early(
    job: TrainJob, make_policy: Any, reward_model: Path, prompts: Path
) -> None:
    with pytest.raises(UsageError, match="PPO has no rewards"):
        train(job, reward=None)
    with pytest.raises(UsageError, match="value_model: reward_model needs a reward model"):
        train(job, value_model="reward_model")
    with pytest.raises(UsageError, match="could not be loaded"):
        train(job, reward="rewards_of_this_test:missing")
    with pytest.raises(UsageError, match="none of the 12 prompts has at most 2 tokens"):
        train(job, max_prompt_length=2)
    with pytest.raises(ValueError, match="batch_size must be a multiple of mini_batches"):
        PPOOptions(batch_size=8, mini_batches=3)


def test_a_finished_training_run_again_changes_nothing(job: TrainJob, weights: Any) -> None:
    import torch

    first = train(job)
    before = weights(first.path)
    seen: list[TrainProgress] = []
    second = train(job, seen.append)
    after = weights(second.path)
    assert seen == []
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert second.metrics == first.metrics


def test_gradient_checkpointing_changes_no_weight(job: TrainJob, weights: Any) -> None:
    plain = job.model_copy(update={"output": job.output / "plain"})
    saving = job.model_copy(update={"output": job.output / "saving"})
    train(plain, rollouts=1)
    train(saving, rollouts=1, gradient_checkpointing=True)
    for folder in ("model", "value_model"):
        a, b = weights(plain.output / folder), weights(saving.output / folder)
        assert max((a[name] - b[name]).abs().max().item() for name in a) < 1e-6


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")
def test_adapters_train_merge_and_resume(job: TrainJob, weights: Any, kill_at: Any) -> None:
    import torch

    lora = {"rank": 4, "target_modules": ["q_proj", "v_proj"]}
    whole = job.model_copy(update={"output": job.output / "whole"})
    halved = job.model_copy(update={"output": job.output / "halved"})
    train(whole, lora=lora, rollouts=4, save_steps=2)
    with pytest.raises(Exception, match="at step 3"):
        train(halved, kill_at(3), lora=lora, rollouts=4, save_steps=2)
    train(halved, lora=lora, rollouts=4, save_steps=2)
    before, a, b = weights(job.model), weights(whole.output / "model"), weights(halved.output / "model")
    changed = {name for name in before if not torch.equal(before[name], a[name])}
    assert changed == {f"model.layers.{i}.self_attn.{p}_proj.weight" for i in (0, 1) for p in "qv"}
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert metrics_of(whole.output)[0]["kl"] == pytest.approx(0, abs=1e-5)
