"""Scores of reward models: which token they are read at, and what they are normalised on."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

import pytest

from jurist.errors import UsageError
from jurist.train_jobs import Artifact, TrainJob
from jurist_trl.supervised.reward import RewardOptions

PROMPT = [{"role": "user", "content": "what is the red number"}]


def test_the_saved_model_is_normalised_on_what_it_was_trained_on(
    trained_reward: Artifact, policy: Path, preferences: Path
) -> None:
    from jurist.files.training_data import PreferenceRow, read_training_data
    from jurist_trl.supervised.preferences import split_pairs
    from jurist_trl.tokens import load_tokenizer

    pairs = split_pairs(
        load_tokenizer(policy),
        read_training_data(preferences, PreferenceRow),
        max_length=1024,
        eval_fraction=0.25,
        seed=0,
        provided_by="",
    )
    scores = scores_of(
        trained_reward.path, [ids for pair in pairs.train for ids in (pair.chosen, pair.rejected)]
    )
    assert statistics.fmean(scores) == pytest.approx(0, abs=1e-4)
    assert statistics.pstdev(scores) == pytest.approx(1, abs=1e-4)


def test_the_saved_model_is_normalised_on_reference_responses_where_there_are_some(
    policy: Path, preferences: Path, tmp_path: Path, train_reward: Any, write_rows: Any
) -> None:
    rows = [json.loads(line) for line in preferences.read_text().splitlines()]
    texts = ["good one", "good two", "bad one"]
    references = write_rows(
        tmp_path / "references.jsonl",
        [
            {"prompt": row["prompt"], "completion": text}
            for row, text in zip(rows[:4], [*texts, "red " * 50], strict=True)  # the last is too long
        ],
    )
    job = TrainJob(model=policy, data=preferences, output=tmp_path / "output")
    artifact = train_reward(job, reference=references, max_length=40)
    from jurist_trl.reward_model import RewardModel

    scores = RewardModel(artifact.path).score([row["prompt"] for row in rows[:3]], texts)
    assert statistics.fmean(scores) == pytest.approx(0, abs=1e-4)
    assert statistics.pstdev(scores) == pytest.approx(1, abs=1e-4)
    assert artifact.metrics["references"] == 3
    with pytest.raises(UsageError, match="none of the 4 references has at most 5 tokens"):
        train_reward(
            TrainJob(model=policy, data=short(tmp_path, write_rows), output=tmp_path / "none"),
            reference=references,
            max_length=5,
        )
    with pytest.raises(ValueError, match="reference is what normalize goes by"):
        RewardOptions(reference=references, normalize=False)


def short(tmp_path: Path, write_rows: Any) -> Path:
    """A preference of five tokens a side, so that only the references are too long."""
    rows = [
        {
            "prompt": "what",
            "chosen": "good",
            "rejected": "bad",
        }
    ]
    return write_rows(tmp_path / "short.jsonl", rows * 4)


def scores_of(folder: Path, sequences: list[list[int]]) -> list[float]:
    """Scores of token ids, taken apart into prompt and response again."""
    from jurist_trl.reward_model import RewardModel

    model = RewardModel(folder)
    prompts, texts = [], []
    for sequence in sequences:
        head, _, tail = model.tokenizer.decode(sequence).partition(" <assistant> ")
        prompts.append([{"role": "user", "content": head.removeprefix("<user> ")}])
        texts.append(tail.removesuffix("<eos>").strip())
    return model.score(prompts, texts)


def test_a_normalised_model_that_is_trained_on_without_normalising_is_none_any_more(
    trained_reward: Artifact, preferences: Path, tmp_path: Path, train_reward: Any
) -> None:
    """Else a judge would take its scores times the old scale for log-odds."""
    from transformers import AutoConfig

    job = TrainJob(model=trained_reward.path, data=preferences, output=tmp_path)
    kept = AutoConfig.from_pretrained(train_reward(job, max_steps=1, normalize=False).path)
    assert hasattr(AutoConfig.from_pretrained(trained_reward.path), "jurist_reward_std")
    assert not hasattr(kept, "jurist_reward_std")
    assert not hasattr(kept, "jurist_reward_mean")


@pytest.mark.parametrize("scores", [[0.0, 0.0, 0.0], [3.0000002, 3.0, 3.0], [-3.0, -3.0, -3.0000005]])
def test_scores_that_are_all_the_same_are_not_normalised(scores: list[float]) -> None:
    """Batches of other sizes round otherwise, and what that left would be scaled to deviation 1."""
    import torch

    from jurist_trl.score_head import normalize_head

    with pytest.raises(UsageError, match="gives every response the same score"):
        normalize_head(torch.nn.Linear(4, 1), torch.tensor(scores), provided_by="a test")


def test_a_head_with_a_bias_takes_the_whole_normalisation() -> None:
    import torch

    from jurist_trl.score_head import normalize_head, reward_mean

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.score = torch.nn.Linear(4, 1)
            self.config = type("Config", (), {})()

    torch.manual_seed(0)
    model, inputs = Model(), torch.randn(64, 4)
    mean, deviation = normalize_head(model, model.score(inputs)[:, 0].detach(), provided_by="a test")
    after = model.score(inputs)[:, 0]
    assert after.mean().item() == pytest.approx(0, abs=1e-6)
    assert after.std(unbiased=False).item() == pytest.approx(1, abs=1e-6)
    assert deviation > 0
    assert mean != 0
    assert reward_mean(model) == 0


def test_scores_do_not_depend_on_the_batch(trained_reward: Artifact) -> None:
    from transformers import AutoModelForSequenceClassification

    from jurist_trl.reward_model import RewardModel

    texts = ["good red", "bad blue maybe maybe maybe", "", "yes"]
    alone = [RewardModel(trained_reward.path).score([PROMPT], [text])[0] for text in texts]
    together = RewardModel(trained_reward.path).score([PROMPT] * 4, texts)
    assert together == pytest.approx(alone, abs=1e-5)

    plain = AutoModelForSequenceClassification.from_pretrained(trained_reward.path)
    model = RewardModel(trained_reward.path)
    encoded = model.tokenizer("<user> what is the red number <assistant> good red <eos>", return_tensors="pt")
    logit = plain(**encoded).logits[0, 0].item()
    assert logit - plain.config.jurist_reward_mean == pytest.approx(alone[0], abs=1e-5)


@pytest.mark.parametrize("ending", ["", "<eos>", "<eos> ", "<eos> \n"])
def test_every_template_ends_in_one_end_of_sequence_token(make_policy: Any, ending: str) -> None:
    from jurist_trl.tokens import conversation_ids, load_tokenizer

    template = "{% for m in messages %}<{{ m.role }}> {{ m.content }} {% endfor %}" + ending.replace(
        "\n", "{{ '\n' }}"
    )
    tokenizer = load_tokenizer(make_policy(template=template))
    ids = conversation_ids(tokenizer, [*PROMPT, {"role": "assistant", "content": "good"}])
    assert ids.count(tokenizer.eos_token_id) == 1
    assert ids[-1] == tokenizer.eos_token_id


def test_padding_by_the_end_token_scores_the_same_alone_and_in_a_batch(
    make_policy: Any, preferences: Path, tmp_path: Path, train_reward: Any
) -> None:
    from jurist_trl.reward_model import RewardModel

    base = make_policy(pad="<eos>")
    artifact = train_reward(TrainJob(model=base, data=preferences, output=tmp_path))
    assert artifact.metrics["eval_accuracy"] == 1.0
    model = RewardModel(artifact.path)
    texts = ["good red", "bad red maybe maybe maybe"]
    alone = [model.score([PROMPT], [text])[0] for text in texts]
    assert model.score([PROMPT] * 2, texts) == pytest.approx(alone, abs=1e-5)
    assert alone[0] > alone[1]


@pytest.mark.parametrize("pad", ["<pad>", "<eos>"])
def test_training_and_scoring_read_the_score_at_the_same_end_token(
    make_policy: Any,
    preferences: Path,
    tmp_path: Path,
    pad: str,
    score_texts: Any,
    train_reward: Any,
    write_rows: Any,
) -> None:
    """What the trainer logged of an untrained model is what scoring gives, read at the end token."""
    import torch
    from transformers import AutoModelForSequenceClassification

    from jurist_trl.reward_model import RewardModel
    from jurist_trl.tokens import conversation_ids

    rows = [json.loads(line) for line in preferences.read_text().splitlines()[:8]]
    job = TrainJob(
        model=make_policy(pad=pad), data=write_rows(tmp_path / "rows", rows), output=tmp_path / "output"
    )
    artifact = train_reward(job, max_steps=1, learning_rate=1e-12, eval_fraction=0, normalize=False)
    scores = {side: score_texts(artifact.path, rows, side) for side in ("chosen", "rejected")}
    everything = [*scores["chosen"], *scores["rejected"]]
    logged = {name: artifact.metrics[name] for name in ("min_reward", "mean_reward", "max_reward")}
    assert logged["min_reward"] == pytest.approx(min(everything), abs=1e-5)
    assert logged["mean_reward"] == pytest.approx(statistics.fmean(everything), abs=1e-5)
    assert logged["max_reward"] == pytest.approx(max(everything), abs=1e-5)

    model = AutoModelForSequenceClassification.from_pretrained(artifact.path).eval()
    whole = [*rows[0]["prompt"], *rows[0]["chosen"]]
    ids = torch.tensor([conversation_ids(RewardModel(artifact.path).tokenizer, whole)])
    with torch.no_grad():
        at_each_token = model.score(model.model(ids).last_hidden_state)[0, :, 0]
    assert scores["chosen"][0] == pytest.approx(at_each_token[-1].item(), abs=1e-5)
    assert abs(at_each_token[-1] - at_each_token[-2]) > 1e-3
