"""A trained reward model as a judge and as a scorer."""

from __future__ import annotations

import asyncio
import json
import math
import shutil
from pathlib import Path

import pytest

from jurist.errors import ProviderError
from jurist.records import Comparison, Judgment, Message, Prompt, Response, Score
from jurist.train_jobs import Artifact


async def test_as_judge_and_scorer(trained_reward: Artifact) -> None:
    from jurist_trl.reward_judge import RewardModelJudge, RewardModelOptions, RewardModelScorer

    options = RewardModelOptions(model=trained_reward.path)
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
    # scores were divided by it; the judge is as sure as the model was trained to be
    deviation = trained_reward.metrics["reward_std"]
    assert deviation != pytest.approx(1, abs=0.05)
    assert shown.preference == pytest.approx(1 / (1 + math.exp(deviation * (b - a))), abs=1e-6)
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
    trained_reward: Artifact, tmp_path: Path, role: str, fault: str, cause: str | None
) -> None:
    """Fatal, since no call could succeed; every item would fail alike."""
    from jurist_trl import reward_judge

    component = getattr(reward_judge, role)(
        reward_judge.RewardModelOptions(model=broken_model(trained_reward.path, tmp_path, fault))
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


async def test_a_conversation_that_the_template_does_not_accept_fails_alone(
    trained_reward: Artifact, tmp_path: Path
) -> None:
    from jurist_trl.reward_judge import RewardModelOptions, RewardModelScorer

    folder = shutil.copytree(trained_reward.path, tmp_path / "model")
    refusing = "{% if messages | length > 2 %}{{ raise_exception('one turn') }}{% endif %}"
    template = folder / "chat_template.jinja"
    template.write_text(refusing + template.read_text())
    scorer = RewardModelScorer(RewardModelOptions(model=folder))
    turns = [Message(role="system", content="be kind"), Message(role="user", content="say red")]
    calls = [
        scorer.score(p, Response(text="good"), ()) for p in (Prompt.of("say red"), Prompt(messages=turns))
    ]
    scored, refused = await asyncio.gather(*calls, return_exceptions=True)
    await scorer.close()
    assert isinstance(scored, Score)
    assert isinstance(refused, ProviderError)
    assert not refused.fatal
    assert "one turn" in str(refused)


async def test_what_is_longer_than_the_model_takes_has_no_score(trained_reward: Artifact) -> None:
    from jurist_trl.reward_judge import RewardModelJudge, RewardModelOptions
    from jurist_trl.reward_model import RewardModel

    whole = "good " * 123  # with the prompt's three tokens, the role and the end: the model's 128
    model, asked = RewardModel(trained_reward.path), [{"role": "user", "content": "say red"}]
    short, longest, longer = model.score([asked] * 3, ["good", whole, f"{whole} good"])
    assert isinstance(short, float)
    assert isinstance(longest, float)
    assert longer is None
    judge = RewardModelJudge(RewardModelOptions(model=trained_reward.path))
    good, long = Response(text="good"), Response(text=f"{whole} good")
    comparison = Comparison(prompt=Prompt.of("say red"), response_a=good, response_b=long)
    with pytest.raises(ProviderError, match=r"more tokens than \S+ takes, 128") as caught:
        await judge.judge(comparison, ())
    await judge.close()
    assert not caught.value.fatal


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


def test_the_identity_follows_the_weights(trained_reward: Artifact, policy: Path) -> None:
    from jurist_trl.reward_judge import RewardModelOptions, RewardModelScorer

    one = RewardModelScorer(RewardModelOptions(model=trained_reward.path)).identity()
    again = RewardModelScorer(RewardModelOptions(model=trained_reward.path, batch_size=7)).identity()
    other = RewardModelScorer(RewardModelOptions(model=policy)).identity()
    assert isinstance(one, dict)
    assert isinstance(other, dict)
    assert one == again
    assert one["weights"] != other["weights"]
