"""Reward models: the soft loss, training, normalisation, scoring, judging."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jurist.contracts import Artifact, TrainJob, TrainProgress
from jurist.errors import ProviderError, UsageError
from jurist.records import Comparison, Judgment, Prompt, Response, Score
from jurist_trl.reward import Reward, RewardOptions

PROMPT = [{"role": "user", "content": "what is the red number"}]


def train(
    job: TrainJob, progress: Callable[[TrainProgress], None] = lambda _: None, **options: Any
) -> Artifact:
    settings = {"batch_size": 8, "learning_rate": 3e-3, "epochs": 3, "save_steps": 2, "eval_fraction": 0.25}
    return Reward(RewardOptions(**{**settings, **options})).train(job, progress)


@pytest.fixture(scope="module")
def trained(policy: Path, preferences: Path, tmp_path_factory: pytest.TempPathFactory) -> Artifact:
    output = tmp_path_factory.mktemp("reward")
    return train(TrainJob(model=policy, data=preferences, output=output))


@pytest.mark.parametrize("probability", [0.5, 0.7, 1.0])
@pytest.mark.parametrize("margin", [-3.0, 0.0, 0.4, 20.0])
def test_soft_loss_is_the_formula_and_its_gradient_is_sigmoid_minus_p(
    margin: float, probability: float
) -> None:
    import torch

    from jurist_trl._reward_trainer import soft_preference_loss

    d = torch.tensor([margin], dtype=torch.float64, requires_grad=True)
    loss = soft_preference_loss(d, torch.tensor([probability], dtype=torch.float64))
    loss.backward()
    sigmoid = 1 / (1 + math.exp(-margin))
    formula = -probability * math.log(sigmoid)
    if probability < 1:
        formula -= (1 - probability) * math.log(1 - sigmoid)
    assert loss.item() == pytest.approx(formula, abs=1e-6)
    assert d.grad is not None
    assert d.grad.item() == pytest.approx(sigmoid - probability, abs=1e-9)


def test_the_probability_reaches_the_loss_of_the_trainer(
    policy: Path, preferences: Path, tmp_path: Path
) -> None:
    """With p = 0.5 everywhere nothing can be learnt beyond ln 2; a dropped column would learn."""
    rows = [json.loads(line) | {"probability": 0.5} for line in preferences.read_text().splitlines()]
    data = tmp_path / "ties.jsonl"
    data.write_text("".join(json.dumps(row) + "\n" for row in rows))
    artifact = train(TrainJob(model=policy, data=data, output=tmp_path), normalize=False)
    assert artifact.metrics["loss"] >= math.log(2) - 1e-6
    assert artifact.metrics["eval_loss"] == pytest.approx(math.log(2), abs=0.05)
    assert "eval_accuracy" not in artifact.metrics


def test_an_obvious_preference_is_learnt_and_the_sureness_of_its_labels(trained: Artifact) -> None:
    entropy = -(0.9 * math.log(0.9) + 0.1 * math.log(0.1))  # the least loss that labels of 0.9 allow
    assert trained.kind == "reward_model"
    assert trained.metrics["eval_accuracy"] == 1.0
    assert entropy - 1e-6 <= trained.metrics["eval_loss"] < entropy + 0.05
    assert trained.metrics["pairs"] + trained.metrics["pairs_held_out"] == 96
    assert 8 <= trained.metrics["pairs_held_out"] <= 45


def test_the_saved_model_is_normalised_on_what_it_was_trained_on(
    trained: Artifact, policy: Path, preferences: Path
) -> None:
    import torch

    from jurist_trl._reward_trainer import _pairs
    from jurist_trl.examples import PreferencePair, read_examples
    from jurist_trl.scoring import RewardModel
    from jurist_trl.tokens import load_tokenizer

    options = RewardOptions(eval_fraction=0.25)
    job = TrainJob(model=policy, data=preferences, output=policy)
    pairs = _pairs(load_tokenizer(policy), read_examples(preferences, PreferencePair), job, options)
    ids = [row[side] for row in pairs.train for side in ("chosen_ids", "rejected_ids")]
    model = RewardModel(trained.path)
    prompts, texts = [], []
    for sequence in ids:
        head, _, tail = model.tokenizer.decode(sequence).partition(" <assistant> ")
        prompts.append([{"role": "user", "content": head.removeprefix("<user> ")}])
        texts.append(tail.removesuffix("<eos>").strip())
    scores = torch.tensor(model.score(prompts, texts))
    assert scores.mean().item() == pytest.approx(0, abs=1e-4)
    assert scores.std(unbiased=False).item() == pytest.approx(1, abs=1e-4)


def test_a_head_with_a_bias_takes_the_whole_normalisation() -> None:
    import torch

    from jurist_trl.scoring import normalize_head, reward_mean

    class Model(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.score = torch.nn.Linear(4, 1)
            self.config = type("Config", (), {})()

    torch.manual_seed(0)
    model, inputs = Model(), torch.randn(64, 4)
    mean, deviation = normalize_head(model, model.score(inputs)[:, 0].detach())
    after = model.score(inputs)[:, 0]
    assert after.mean().item() == pytest.approx(0, abs=1e-6)
    assert after.std(unbiased=False).item() == pytest.approx(1, abs=1e-6)
    assert deviation > 0
    assert mean != 0
    assert reward_mean(model) == 0


def test_scores_do_not_depend_on_the_batch(trained: Artifact) -> None:
    from transformers import AutoModelForSequenceClassification

    from jurist_trl.scoring import RewardModel

    texts = ["good red", "bad blue maybe maybe maybe", "", "yes"]
    alone = [RewardModel(trained.path).score([PROMPT], [text])[0] for text in texts]
    together = RewardModel(trained.path).score([PROMPT] * 4, texts)
    assert together == pytest.approx(alone, abs=1e-5)

    plain = AutoModelForSequenceClassification.from_pretrained(trained.path)
    model = RewardModel(trained.path)
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
    make_policy: Any, preferences: Path, tmp_path: Path
) -> None:
    from jurist_trl.scoring import RewardModel

    base = make_policy(pad="<eos>")
    artifact = train(TrainJob(model=base, data=preferences, output=tmp_path))
    assert artifact.metrics["eval_accuracy"] == 1.0
    model = RewardModel(artifact.path)
    texts = ["good red", "bad red maybe maybe maybe"]
    alone = [model.score([PROMPT], [text])[0] for text in texts]
    assert model.score([PROMPT] * 2, texts) == pytest.approx(alone, abs=1e-5)
    assert alone[0] > alone[1]


def test_killed_and_resumed_training_ends_bit_identical(
    policy: Path, preferences: Path, tmp_path: Path, weights: Any, kill_at: Any
) -> None:
    import torch

    whole = TrainJob(model=policy, data=preferences, output=tmp_path / "whole", seed=1)
    first = train(whole, max_steps=4)
    halved = TrainJob(model=policy, data=preferences, output=tmp_path / "halved", seed=1)
    with pytest.raises(Exception, match="at step 3"):
        train(halved, kill_at(3), max_steps=4)
    resumed: list[TrainProgress] = []
    second = train(halved, resumed.append, max_steps=4)
    assert [p.step for p in resumed] == [3, 4]
    assert list(resumed[-1].metrics)[:2] == ["loss", "accuracy"]
    a, b = weights(first.path), weights(second.path)
    assert all(torch.equal(a[name], b[name]) for name in a)
    assert first.metrics["eval_loss"] == second.metrics["eval_loss"]


def test_gradient_accumulation_makes_the_step_of_the_larger_batch(
    policy: Path, preferences: Path, tmp_path: Path, weights: Any
) -> None:
    """Without clipping and with Adam's epsilon so large that a step is proportional to the gradient."""
    settings = {"max_steps": 1, "normalize": False, "adam_epsilon": 1e3, "max_grad_norm": 1e9}
    results = []
    for rate, batch_size, accumulation in ((1e-12, 8, 1), (10.0, 8, 1), (10.0, 4, 2)):
        job = TrainJob(model=policy, data=preferences, output=tmp_path / f"{rate}-{batch_size}")
        artifact = train(
            job,
            learning_rate=rate,
            batch_size=batch_size,
            gradient_accumulation_steps=accumulation,
            **settings,
        )
        results.append(weights(artifact.path))
    start, large, small = results
    moved = max((large[n] - start[n]).abs().max().item() for n in start)
    assert moved > 1e-4
    assert max((large[n] - small[n]).abs().max().item() for n in start) < 1e-2 * moved


def test_long_pairs_are_counted_and_none_left_is_an_error(
    policy: Path, preferences: Path, tmp_path: Path
) -> None:
    artifact = train(TrainJob(model=policy, data=preferences, output=tmp_path), max_length=12, max_steps=1)
    lengths = [
        len(x["chosen"][0]["content"].split()) for x in map(json.loads, preferences.read_text().splitlines())
    ]
    too_long = sum(8 + n + 1 > 12 for n in lengths)  # <user>, six words, <assistant>; then <eos>
    assert 0 < too_long < 96
    assert artifact.metrics["pairs_too_long"] == too_long
    with pytest.raises(UsageError, match="96 of 96 have more than 5 tokens"):
        train(TrainJob(model=policy, data=preferences, output=tmp_path), max_length=5)


async def test_as_judge_and_scorer(trained: Artifact) -> None:
    from jurist_trl.reward_judge import RewardModelJudge, RewardModelOptions, RewardModelScorer

    options = RewardModelOptions(model=trained.path)
    judge, scorer = RewardModelJudge(options), RewardModelScorer(options)
    comparison = Comparison(
        prompt=Prompt.of("what is the red number"),
        response_a=Response(text="good red"),
        response_b=Response(text="bad red"),
    )
    shown = await judge.judge(comparison, ())
    swapped = await judge.judge(comparison.swapped(), ())
    scores = [
        await scorer.score(comparison.prompt, r, ()) for r in (comparison.response_a, comparison.response_b)
    ]
    assert isinstance(shown, Judgment)
    assert isinstance(swapped, Judgment)
    a, b = (s.value for s in scores if isinstance(s, Score))
    assert shown.preference > 0.8
    assert shown.preference == pytest.approx(1 / (1 + math.exp(b - a)), abs=1e-6)
    assert swapped.preference == pytest.approx(1 - shown.preference, abs=1e-6)
    await judge.close()
    await scorer.close()


@pytest.mark.parametrize("role", ["RewardModelScorer", "RewardModelJudge"])
@pytest.mark.parametrize(
    ("fault", "cause"),
    [
        ("missing", "there is no such folder"),
        ("empty", "it holds no config.json"),
        ("no weights", "model.safetensors"),
        ("cut off", "SafetensorError"),
        ("not a reward model", None),
    ],
)
async def test_a_reward_model_that_cannot_be_had_ends_the_run_and_is_named(
    trained: Artifact, tmp_path: Path, role: str, fault: str, cause: str | None
) -> None:
    """Fatal, since no call could succeed; every item would fail alike."""
    from jurist_trl import reward_judge

    component = getattr(reward_judge, role)(
        reward_judge.RewardModelOptions(model=broken_model(trained.path, tmp_path, fault))
    )
    good, bad, prompt = Response(text="good"), Response(text="bad"), Prompt.of("what")
    call = (
        component.judge(Comparison(prompt=prompt, response_a=good, response_b=bad), ())
        if role == "RewardModelJudge"
        else component.score(prompt, good, ())
    )
    with pytest.raises(ProviderError) as caught:
        await call
    await component.close()
    error = caught.value
    assert (error.fatal, error.retryable) == (True, False)
    assert str(tmp_path / "model") in error.what
    assert error.provided_by == "jurist-trl (trl-reward-model)"
    assert error.hint
    assert cause is None or cause in str(error.cause)


def broken_model(whole: Path, tmp_path: Path, fault: str) -> Path:
    folder = tmp_path / "model"
    if fault == "empty":
        folder.mkdir()
    elif fault != "missing":
        shutil.copytree(whole, folder)
    weights, config = folder / "model.safetensors", folder / "config.json"
    if fault == "no weights":
        weights.unlink()
    elif fault == "cut off":
        weights.write_bytes(weights.read_bytes()[:1000])
    elif fault == "not a reward model":
        labels = {str(i): f"LABEL_{i}" for i in range(3)}
        changed = json.loads(config.read_text()) | {"id2label": labels}
        changed["label2id"] = {label: int(i) for i, label in labels.items()}
        config.write_text(json.dumps(changed))
    return folder


def test_a_model_that_is_not_there_has_no_identity(tmp_path: Path) -> None:
    """Else its replies would be kept under the same key as those of any other missing model."""
    from jurist_trl.reward_judge import RewardModelJudge, RewardModelOptions

    judge = RewardModelJudge(RewardModelOptions(model=tmp_path / "nowhere"))
    with pytest.raises(ProviderError, match=r"no reward model at \S+nowhere") as caught:
        judge.identity()
    assert caught.value.fatal


def test_the_identity_follows_the_weights(trained: Artifact, policy: Path) -> None:
    from jurist_trl.reward_judge import RewardModelOptions, RewardModelScorer

    one = RewardModelScorer(RewardModelOptions(model=trained.path)).identity()
    again = RewardModelScorer(RewardModelOptions(model=trained.path, batch_size=7)).identity()
    other = RewardModelScorer(RewardModelOptions(model=policy)).identity()
    assert isinstance(one, dict)
    assert isinstance(other, dict)
    assert one == again
    assert one["weights"] != other["weights"]


@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")
def test_adapters_are_merged_and_the_merged_model_is_normalised(
    policy: Path, preferences: Path, tmp_path: Path
) -> None:
    from jurist_trl.scoring import RewardModel

    lora = {"rank": 4, "target_modules": ["q_proj", "v_proj"]}
    job = TrainJob(model=policy, data=preferences, output=tmp_path)
    artifact = train(job, lora=lora, learning_rate=2e-2, eval_fraction=0)
    rows = [json.loads(line) for line in preferences.read_text().splitlines()]
    sides = [(row["prompt"], row[side][0]["content"]) for row in rows for side in ("chosen", "rejected")]
    scores = RewardModel(artifact.path).score([p for p, _ in sides], [text for _, text in sides])
    mean = sum(scores) / len(scores)
    assert mean == pytest.approx(0, abs=1e-4)
    assert sum((s - mean) ** 2 for s in scores) / len(scores) == pytest.approx(1, abs=1e-3)
    assert sum(a > b for a, b in zip(scores[::2], scores[1::2], strict=True)) == 96
