"""Faults of the PPO that TRL had until 1.12; this one has none of them.

fault of TRL's PPO                                     test here, or where it says
optimizer steps miscounted with mini-batches           test_as_many_optimizer_steps_as_asked_for
ratio and losses logged too low                        test_what_is_logged_is_the_mean_over_all_tokens
max_grad_norm ignored                                  test_both_networks_are_clipped_and_cleared
no resume                                              test_trl_ppo_resume.py
no evaluation                                          test_trl_held_out.py
no prompts as text                                     test_prompts_may_be_texts
fewer prompts than a batch hang for ever               test_fewer_prompts_than_a_rollout_takes_are_used_again
reward at the wrong token where the end token pads     test_the_score_is_read_at… and test_a_reward_model_is…
adapters crash in several processes                    test_trl_processes.py
the value model is not saved                           test_the_value_model_is_saved_and_loads
only a module as reward                                test_trl_ppo_rewards.py
the reward model must have the policy's tokenizer      test_a_reward_model_may_have_another_tokenizer
no value model given: crash                            test_a_value_model_need_not_be_given
"""

from __future__ import annotations

from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from jurist.errors import TrainingError, UsageError
from jurist.train_jobs import TrainJob, TrainProgress


@pytest.mark.parametrize(
    ("mini_batches", "accumulation", "epochs"), [(1, 1, 1), (2, 2, 1), (4, 1, 3), (1, 4, 2)]
)
def test_as_many_optimizer_steps_as_asked_for(
    ppo_job: TrainJob,
    train_ppo: Any,
    ppo_trainers: list[Any],
    mini_batches: int,
    accumulation: int,
    epochs: int,
) -> None:
    seen: list[TrainProgress] = []
    train_ppo(
        ppo_job,
        seen.append,
        mini_batches=mini_batches,
        gradient_accumulation_steps=accumulation,
        ppo_epochs=epochs,
        lr_scheduler="constant",
    )
    expected = 2 * mini_batches * epochs
    assert len(seen) == expected
    assert seen[-1].total == expected
    states = ppo_trainers[0].optimizer.state_dict()["state"].values()
    assert {int(state["step"]) for state in states} == {expected}  # of both networks' parameters
    assert len(ppo_trainers[0].rollouts) == 2
    assert all(p.metrics["ratio"] == pytest.approx(1, abs=1e-5) for p in seen[:: mini_batches * epochs])


def test_both_networks_are_clipped_and_cleared(
    ppo_job: TrainJob,
    train_ppo: Any,
    ppo_trainers: list[Any],
    monkeypatch: pytest.MonkeyPatch,
    metrics_of: Any,
) -> None:
    import torch

    norms: list[tuple[float, float]] = []
    step = torch.optim.AdamW.step

    def watched(self: Any, *args: Any, **kwargs: Any) -> Any:
        networks = (ppo_trainers[0].model, ppo_trainers[0].value_model)
        norms.append(
            tuple(  # type: ignore[arg-type]
                torch.stack([p.grad.norm() for p in n.parameters() if p.grad is not None]).norm().item()
                for n in networks
            )
        )
        return step(self, *args, **kwargs)

    monkeypatch.setattr(torch.optim.AdamW, "step", watched)
    train_ppo(ppo_job, max_grad_norm=1e-3, whiten_advantages=False, rollouts=3)
    assert len(norms) == 3
    assert all(p == pytest.approx(1e-3, rel=1e-2) and v == pytest.approx(1e-3, rel=1e-2) for p, v in norms)
    assert all(p.grad is None for p in ppo_trainers[0].value_model.parameters())
    first = metrics_of(ppo_job.output)[0]
    assert first["grad_norm"] > 1e-2 < first["value_grad_norm"]  # logged before clipping


def test_a_value_model_that_is_no_number_stops_and_is_named(
    ppo_job: TrainJob, train_ppo: Any, reward_functions: ModuleType
) -> None:
    """Rewards so large that their squares are not finite."""
    vars(reward_functions)["large"] = lambda prompts, texts: [1e30] * len(texts)
    with pytest.raises(TrainingError, match="value_grad_norm is not a finite number at step 1"):
        train_ppo(ppo_job, reward=f"{reward_functions.__name__}:large")


@pytest.mark.parametrize("pad", ["<pad>", "<eos>"])
def test_the_score_is_read_at_the_last_token_even_when_padding_is_the_end_token(
    make_policy: Any,
    prompts: Path,
    tmp_path: Path,
    train_ppo: Any,
    ppo_trainers: list[Any],
    pad: str,
    metrics_of: Any,
) -> None:
    ppo_job = TrainJob(model=make_policy(pad=pad), data=prompts, output=tmp_path)
    settings = {
        "kl_coef": 0.0,
        "gamma": 1.0,
        "gae_lambda": 1.0,
        "missing_eos_penalty": 10.0,
        "batch_size": 32,
    }
    train_ppo(ppo_job, rollouts=1, max_completion_length=12, **settings)
    rollout, tokenizer = ppo_trainers[0].rollouts[0], ppo_trainers[0].processing_class
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


def test_fewer_prompts_than_a_rollout_takes_are_used_again(
    ppo_job: TrainJob, train_ppo: Any, ppo_trainers: list[Any]
) -> None:
    few = ppo_job.output / "few.jsonl"
    few.write_text("".join(Path(ppo_job.data).read_text().splitlines(keepends=True)[:3]))
    artifact = train_ppo(ppo_job.model_copy(update={"data": few}), rollouts=2, num_generations=2)
    assert artifact.metrics["prompts"] == 3
    asked = [row["prompt"][0]["content"] for row in ppo_trainers[0].train_dataset]
    assert len(asked) == 8
    assert all(2 <= asked.count(prompt) <= 3 for prompt in set(asked))
    per_prompt = [tuple(ids.tolist()) for ids in ppo_trainers[0].rollouts[0]["prompt_ids"]]
    assert [per_prompt[i] == per_prompt[i + 1] for i in (0, 2, 4, 6)] == [True] * 4


def test_what_is_logged_is_the_mean_over_all_tokens(
    ppo_job: TrainJob, train_ppo: Any, ppo_trainers: list[Any], metrics_of: Any
) -> None:
    """Of all forward passes, against the rollout itself, with steps too small to change anything."""
    import torch

    train_ppo(
        ppo_job,
        rollouts=1,
        mini_batches=1,
        gradient_accumulation_steps=4,
        ppo_epochs=2,
        learning_rate=1e-12,
        whiten_advantages=False,
        value_model="fresh",
        batch_size=16,
        max_completion_length=12,
    )
    rollout = ppo_trainers[0].rollouts[0]
    mask = rollout["mask"].bool()
    assert len(set(mask.sum(dim=1).tolist())) > 1  # a mean of means would be another number
    policy = -rollout["advantages"][mask].mean().item()
    value = (rollout["old_values"] - rollout["returns"])[mask].square().mean().item() / 2
    assert abs(policy) > 1e-3 < value
    with torch.no_grad():
        _, entropy = ppo_trainers[0]._logps(ppo_trainers[0].model, rollout, entropies=True)
    for line in metrics_of(ppo_job.output):
        assert line["ratio"] == pytest.approx(1, abs=1e-5)
        assert line["approx_kl"] == pytest.approx(0, abs=1e-6)
        assert line["policy_loss"] == pytest.approx(policy, abs=1e-5)
        assert line["value_loss"] == pytest.approx(value, abs=1e-5)
        assert line["entropy"] == pytest.approx(entropy[mask].mean().item(), abs=1e-5)
        assert line["loss"] == pytest.approx(policy + value, abs=1e-4)


def test_prompts_may_be_texts(ppo_job: TrainJob, train_ppo: Any, ppo_trainers: list[Any]) -> None:
    texts = ppo_job.output / "texts.jsonl"
    texts.write_text('{"prompt": "say red please"}\n{"prompt": "say no"}\n')
    train_ppo(ppo_job.model_copy(update={"data": texts}), rollouts=1)
    rollout, tokenizer = ppo_trainers[0].rollouts[0], ppo_trainers[0].processing_class
    asked = {
        tokenizer.decode(ids[mask.bool()])
        for ids, mask in zip(rollout["prompt_ids"], rollout["prompt_mask"], strict=True)
    }
    assert asked == {"<user> say red please <assistant>", "<user> say no <assistant>"}


def other_reward_model(folder: Path, policy: Path, extra: list[str]) -> Path:
    """A reward model with a random head, and with tokens that the policy does not have."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    torch.manual_seed(3)
    tokenizer = AutoTokenizer.from_pretrained(policy)
    model = AutoModelForSequenceClassification.from_pretrained(policy, num_labels=1)
    tokenizer.add_tokens(extra)
    model.resize_token_embeddings(len(tokenizer))
    model.config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.mark.parametrize("pad", ["<pad>", "<eos>"])
def test_a_reward_model_is_read_at_the_end_token_whatever_pads(
    make_policy: Any, prompts: Path, tmp_path: Path, train_ppo: Any, ppo_trainers: list[Any], pad: str
) -> None:
    import torch
    from transformers import AutoModelForSequenceClassification

    from jurist_trl.tokens import conversation_ids

    policy = make_policy(pad=pad)
    reward = other_reward_model(tmp_path / "reward", policy, [])
    job = TrainJob(model=policy, data=prompts, output=tmp_path, reward_models=(reward,))
    train_ppo(job, reward=None, rollouts=1)
    trainer, model = ppo_trainers[0], AutoModelForSequenceClassification.from_pretrained(reward).eval()
    for row, text, given in zip(
        trainer.train_dataset, trainer.last_responses, trainer.last_rewards, strict=True
    ):
        whole = [*row["prompt"], {"role": "assistant", "content": text}]
        ids = torch.tensor([conversation_ids(trainer.processing_class, whole)])
        with torch.no_grad():
            score = model.score(model.model(input_ids=ids).last_hidden_state)[0, -1, 0].item()
        assert given == pytest.approx(score, abs=1e-5)


def test_a_reward_model_may_have_another_tokenizer(
    ppo_job: TrainJob, train_ppo: Any, metrics_of: Any, ppo_trainers: list[Any]
) -> None:
    from jurist_trl.reward_model import RewardModel

    reward = other_reward_model(ppo_job.output / "reward", ppo_job.model, ["purple", "orange"])
    job = ppo_job.model_copy(update={"reward_models": (reward,)})
    with pytest.raises(UsageError, match="its tokenizer is not the policy's") as caught:
        train_ppo(job, reward=None)
    assert "value_model: policy" in str(caught.value)
    train_ppo(job, reward=None, rollouts=1, value_model="policy")
    asked = [row["prompt"] for row in ppo_trainers[0].train_dataset]
    scores = RewardModel(reward).score(asked, ppo_trainers[0].last_responses)
    assert metrics_of(job.output)[0]["raw_reward"] == pytest.approx(sum(scores) / len(scores), abs=1e-5)


def test_a_value_model_need_not_be_given(ppo_job: TrainJob, train_ppo: Any, ppo_trainers: list[Any]) -> None:
    """Without a reward model it starts from the policy's body, and values all at 0."""
    import torch
    from transformers import AutoModelForCausalLM

    train_ppo(ppo_job, rollouts=1, learning_rate=1e-12)
    policy = AutoModelForCausalLM.from_pretrained(ppo_job.model).model.state_dict()
    values = ppo_trainers[0].value_model.model.model.state_dict()
    assert all(torch.allclose(values[name], policy[name], atol=1e-8) for name in policy)
    assert ppo_trainers[0].rollouts[0]["old_values"].abs().max().item() == 0


def test_the_value_model_is_saved_and_loads(
    ppo_job: TrainJob, train_ppo: Any, ppo_trainers: list[Any], reward_model: Path
) -> None:
    """As a checkpoint that plain Transformers loads, and that values as the trained one does."""
    import torch
    from transformers import AutoModelForSequenceClassification

    train_ppo(ppo_job.model_copy(update={"reward_models": (reward_model,)}), reward=None)
    loaded = AutoModelForSequenceClassification.from_pretrained(ppo_job.output / "value_model").eval()
    ids = torch.tensor([[3, 7, 8, 9, 4, 12]])
    with torch.no_grad():
        trained = ppo_trainers[0].value_model(ids, torch.ones_like(ids))
        saved = loaded.score(loaded.model(input_ids=ids).last_hidden_state)[..., 0]
    mean = loaded.config.jurist_reward_mean
    assert mean != 0
    assert torch.allclose(trained, saved - mean, atol=1e-5)
