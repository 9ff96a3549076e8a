"""The judge: what it says of swapped and equal responses, what it is known by, and what it refuses."""

from __future__ import annotations

import asyncio
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jurist.errors import ProviderError
from jurist.planning.planner import plan
from jurist.recipe import Recipe
from jurist.records import Comparison, Judgment, Prompt, Response
from jurist.run import run
from jurist.train_jobs import TrainJob
from jurist_classifier.judge import ClassifierJudge, ClassifierJudgeOptions
from jurist_classifier.labeler import Labeler
from jurist_classifier.pairs import Pair
from jurist_classifier.trainer import ClassifierOptions, ClassifierTrainer
from jurist_registry.registry import Registry

Rows = Callable[[Path], list[Any]]
FAST: dict[str, Any] = {"learning_rate": 3e-3, "epochs": 4, "eval_steps": 10, "batch_size": 16}


@pytest.fixture(scope="module", params=["bradley_terry", "cross_encoder"])
def model(
    request: Any, bases: dict[str, Path], preferences: Path, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    job = TrainJob(model=bases["encoder"], data=preferences, output=tmp_path_factory.mktemp("model"))
    options = ClassifierOptions(head=request.param, **FAST)
    return ClassifierTrainer(options).train(job, lambda _: None).path


def comparison(prompt: str, a: str, b: str) -> Comparison:
    return Comparison(prompt=Prompt.of(prompt), response_a=Response(text=a), response_b=Response(text=b))


def judged(model: Path, comparisons: list[Comparison], **options: Any) -> list[float]:
    async def ask() -> list[float]:
        judge = ClassifierJudge(ClassifierJudgeOptions(model=model, **options))
        outcomes = await asyncio.gather(*(judge.judge(each, ()) for each in comparisons))
        await judge.close()
        assert all(isinstance(outcome, Judgment) for outcome in outcomes)
        return [outcome.preference for outcome in outcomes if isinstance(outcome, Judgment)]

    return asyncio.run(ask())


def test_it_prefers_by_the_rule_in_either_order(model: Path) -> None:
    pairs = [comparison(f"what is {x}", f"{x} good", f"bad so {x}") for x in ("red", "one", "there", "now")]
    shown = judged(model, [*pairs, *(pair.swapped() for pair in pairs)])
    assert all(p > 0.8 for p in shown[:4])
    assert [p + q for p, q in zip(shown[:4], shown[4:], strict=True)] == [1.0] * 4


def test_equal_responses_are_a_tie(model: Path) -> None:
    assert judged(model, [comparison("what is red", "good", "good"), comparison("x", "", "")]) == [0.5, 0.5]


def test_it_says_what_the_labeler_says(model: Path) -> None:
    pair = comparison("what is red", "well maybe", "so then")
    assert judged(model, [pair]) == Labeler.load(model).probabilities([Pair.of(pair)])


def test_batches_change_nothing_but_the_last_digits(model: Path) -> None:
    pairs = [comparison(f"is {w}", f"{w} " * (1 + i % 9), "so no") for i, w in enumerate(["red", "bad"] * 20)]
    assert judged(model, pairs, batch_size=1) == pytest.approx(judged(model, pairs, batch_size=64), abs=1e-5)


def test_the_identity_changes_with_weights_and_temperature_and_not_with_the_place(
    model: Path, tmp_path: Path
) -> None:
    def identity(folder: Path, **options: Any) -> Any:
        return ClassifierJudge(ClassifierJudgeOptions(model=folder, **options)).identity()

    moved = Path(shutil.copytree(model, tmp_path / "moved"))
    assert identity(moved) == identity(model) == identity(model, batch_size=3, device="cpu")
    assert identity(model, dtype="bfloat16") != identity(model)
    facts = json.loads((moved / "labeler.json").read_text())
    (moved / "labeler.json").write_text(json.dumps({**facts, "temperature": 9.0}))
    assert identity(moved) != identity(model)


@pytest.mark.parametrize(
    ("folder", "message"),
    [("nowhere", "there is no labeler at"), ("reward", "is not a labeler"), ("broken", "cannot be loaded")],
)
def test_what_is_no_labeler_ends_the_run_with_a_reason(folder: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "reward").mkdir()
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "labeler.json").write_text("{}")
    with pytest.raises(ProviderError, match=message) as caught:
        judged(tmp_path / folder, [comparison("p", "a", "b")])
    assert caught.value.fatal
    assert caught.value.hint


def test_a_recipe_trains_a_labeler_on_a_file_and_has_it_judge(
    bases: dict[str, Path], preferences: Path, write: Callable[..., Path], lines: Rows, tmp_path: Path
) -> None:
    pairs = write(
        tmp_path / "pairs.jsonl",
        [{"prompt": f"what is {w}", "response_a": "bad " + w, "response_b": w + " good"} for w in "xyz"],
    )
    trainer = {"use": "classifier", "base": str(bases["encoder"]), **FAST}
    recipe = Recipe.of(
        {
            "stages": [
                {"stage": "train", "name": "human", "trainer": trainer, "data": {"path": str(preferences)}},
                {"stage": "compare", "pairs": str(pairs), "judges": ["labeler"], "principles": "none"},
            ]
        }
    )
    registry = Registry.discover()
    assert plan(recipe, registry).stages[1].components[0].calls.high == 3  # symmetric: one order each
    done = run(recipe, tmp_path / "run", registry)
    assert done.stages[0].summary["metrics"]["accuracy"] >= 0.95
    preferred = lines(done.stages[1].folder / "preferences.jsonl")
    assert [row["chosen"][0]["content"] for row in preferred] == ["x good", "y good", "z good"]
    assert all(row["probability"] > 0.8 for row in preferred)
    assert done.stages[1].summary["judges"]["human"]["judgments"] == 3


def test_a_bradley_terry_labeler_is_a_reward_model_and_a_cross_encoder_is_none(model: Path) -> None:
    reward_model = pytest.importorskip("jurist_trl.reward_model")
    labeler = Labeler.load(model)
    pair = comparison("what is red", "well good", "bad then")
    if labeler.facts.head == "cross_encoder":
        with pytest.raises(Exception, match="2 labels instead of 1"):
            reward_model.RewardModel(model)
        return
    prompt = [{"role": "user", "content": "what is red"}]
    a, b = reward_model.RewardModel(model).score([prompt, prompt], ["well good", "bad then"])
    assert labeler.margins([Pair.of(pair)])[0] == pytest.approx(a - b, abs=1e-5)
