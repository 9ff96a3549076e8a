"""Rewards: weighted sums of several sources; what fails is asked again and never becomes a number."""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from jurist.errors import BudgetStop, ContractError, ProviderError, UsageError
from jurist.train_jobs import JobOutline, TrainJob
from jurist_trl.groups.options import GroupOptions
from jurist_trl.ppo.component import PPO
from jurist_trl.rollouts.rewards import Retried, RewardSource, load_function
from jurist_trl.tokens import ChatMessages

PROMPTS = [[{"role": "user", "content": name}] for name in "abc"]
TEXTS = ["x", "y", "z"]


@pytest.fixture
def functions() -> Iterator[ModuleType]:
    """An importable module for reward functions."""
    module = ModuleType("functions_of_this_test")
    sys.modules[module.__name__] = module
    yield module
    del sys.modules[module.__name__]


def test_only_what_has_no_reward_is_asked_again() -> None:
    asked: list[list[str]] = []

    def function(prompts: Sequence[ChatMessages], texts: Sequence[str]) -> list[float | None]:
        asked.append([prompt[0]["content"] + text for prompt, text in zip(prompts, texts, strict=True)])
        return [1.0, None, math.nan] if len(asked) == 1 else [2.0, math.inf][: len(texts)]

    rewards = RewardSource({"function": Retried(function, 1, pause=0)})(PROMPTS, TEXTS)
    assert rewards.values == [1.0, 2.0, None]
    assert rewards.error == "function gave no finite number"
    assert asked == [["ax", "by", "cz"], ["by", "cz"]]


def test_an_exception_is_asked_again_and_kept_as_the_cause() -> None:
    calls = 0

    def function(prompts: Sequence[ChatMessages], texts: Sequence[str]) -> list[float | None]:
        nonlocal calls
        calls += 1
        raise TimeoutError("too slow")

    rewards = RewardSource({"function": Retried(function, 2, pause=0)})(PROMPTS, TEXTS)
    assert calls == 3
    assert rewards.values == [None, None, None]
    assert rewards.error == "TimeoutError: too slow"


@pytest.mark.parametrize(
    "error", [ProviderError("wrong key", fatal=True), BudgetStop("spent"), UsageError("no")]
)
def test_what_no_retry_can_help_is_raised_at_once(error: Exception) -> None:
    calls = 0

    def refused(prompts: Sequence[ChatMessages], texts: Sequence[str]) -> list[float | None]:
        nonlocal calls
        calls += 1
        raise error

    with pytest.raises(type(error)):
        Retried(refused, 2, pause=0)(PROMPTS, TEXTS)
    assert calls == 1


def test_too_few_answers_are_a_fault_of_the_function() -> None:
    with pytest.raises(ContractError, match="gave 1 numbers for 3 responses"):
        Retried(lambda prompts, texts: [1.0], 2, pause=0)(PROMPTS, TEXTS)


@pytest.mark.parametrize("answers", [None, 3.0, "good", ["good", "bad", "good"]])
def test_what_is_no_list_of_numbers_is_a_fault_of_the_function(answers: Any) -> None:
    with pytest.raises(ContractError, match="gave no list of numbers"):
        RewardSource({"function": Retried(lambda prompts, texts: answers, 0)})(PROMPTS, TEXTS)


def test_numbers_that_float32_has_no_place_for_are_no_rewards() -> None:
    given = {"function": [1e39, -1e39, 3.4e38], "scorers": [1.0, 1.0, 10**400]}
    sources = {name: Retried(lambda _, t, v=v: v[-len(t) :], 0) for name, v in given.items()}  # type: ignore[misc]
    rewards = RewardSource(sources)(PROMPTS, TEXTS)
    assert rewards.parts["function"] == [None, None, 3.4e38]
    assert rewards.values == [None, None, None]
    doubled = RewardSource({"function": lambda _, texts: [3e38, 1.0, -3e38]}, [2.0])(PROMPTS, TEXTS)
    assert doubled.values == [None, 2.0, None]
    assert doubled.error == "function gave no finite number"


def test_the_reward_is_the_weighted_sum_and_a_missing_part_leaves_none() -> None:
    shown: list[list[str]] = []

    def first(prompts: Sequence[ChatMessages], texts: Sequence[str]) -> list[float | None]:
        return [1.0, None, 3.0]

    def second(prompts: Sequence[ChatMessages], texts: Sequence[str]) -> list[float | None]:
        shown.append(list(texts))
        return [10.0, 20.0]

    rewards = RewardSource({"first": first, "second": second}, [2.0, -0.5])(PROMPTS, TEXTS)
    assert rewards.values == [2 * 1.0 - 0.5 * 10.0, None, 2 * 3.0 - 0.5 * 20.0]
    assert shown == [["x", "z"]]  # what is dropped already is not paid for
    assert rewards.parts == {"first": [1.0, None, 3.0], "second": [10.0, None, 20.0]}
    assert rewards.error == "first gave no finite number"


def test_sources_come_in_order_models_function_scorers(
    functions: ModuleType, policy: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Two reward models (the same, with its sign turned), an async function and the recipe's scorers."""
    import torch
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    from jurist_trl.reward_model import RewardModel

    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(policy, num_labels=1)
    tokenizer = AutoTokenizer.from_pretrained(policy)
    folders = (tmp_path / "a", tmp_path / "b")
    for folder in folders:
        model.save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        model.score.weight.data *= -1

    async def lengths(prompts: Sequence[ChatMessages], texts: Sequence[str]) -> list[float | None]:
        return [float(len(text)) for text in texts]

    functions.lengths = lengths  # type: ignore[attr-defined]
    weights = (3.0, 1.0, 0.1, 0.01)
    ppo = PPO(PPO.Options(reward="functions_of_this_test:lengths", reward_weights=weights))
    ppo.score = lambda prompts, texts: [100.0 if text == "red" else None for text in texts]
    job = TrainJob(model=policy, data=policy, output=tmp_path, reward_models=folders)
    texts = ["red", "green", "red"]
    rewards = RewardSource.of(job, ppo)(PROMPTS, texts)
    scores = RewardModel(folders[0]).score(PROMPTS, texts)
    assert list(rewards.parts) == ["reward_model_1", "reward_model_2", "reward_function", "scorers"]
    assert rewards.parts["reward_model_2"] == pytest.approx([-score for score in scores], abs=1e-6)
    expected = [3 * score - score + 0.1 * 3 + 0.01 * 100 for score in scores]
    assert rewards.values == [
        pytest.approx(expected[0], abs=1e-5),
        None,
        pytest.approx(expected[2], abs=1e-5),
    ]


def test_weights_must_be_as_many_as_sources(tmp_path: Path) -> None:
    """Which is said before anything is loaded: there is no such function."""
    ppo = PPO(PPO.Options(reward="no_such_module:function", reward_weights=(1.0,)))
    assert ppo.faults(JobOutline(reward_models=1, scored=True)) == [
        "reward_weights has 1 numbers: give one for each of these, in order: "
        "reward_model, reward_function, scorers"
    ]
    assert ppo.faults(JobOutline()) == []


def test_nothing_more_is_asked_when_all_are_dropped() -> None:
    def refuses(prompts: Sequence[ChatMessages], texts: Sequence[str]) -> list[float | None]:
        raise AssertionError("asked")

    rewards = RewardSource({"first": lambda p, t: [None] * 3, "second": refuses})(PROMPTS, TEXTS)
    assert rewards.values == [None] * 3
    assert rewards.parts["second"] == [None] * 3


def test_a_training_needs_rewards() -> None:
    (fault,) = PPO(PPO.Options()).faults(JobOutline())
    assert fault.startswith("there are no rewards: name a reward model or scorers")
    for outline in (JobOutline(reward_models=2), JobOutline(scored=True)):
        assert PPO(PPO.Options()).faults(outline) == []


class Counter:
    """A callable that is no function, and async."""

    async def __call__(self, prompts: Any, texts: Sequence[str]) -> list[float]:
        return [float(len(text)) for text in texts]


def test_any_callable_will_do(functions: ModuleType) -> None:
    functions.counter = Counter()  # type: ignore[attr-defined]
    assert load_function("functions_of_this_test:counter")(PROMPTS, ["a", "bb", ""]) == [1.0, 2.0, 0.0]


@pytest.mark.parametrize("name", ["no_such_module:function", "math:no_such_function"])
def test_a_function_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(UsageError, match=f"function {name} could not be loaded"):
        load_function(name)


def test_a_training_is_another_when_the_file_of_its_reward_function_has_changed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from jurist.fingerprint import settings_fingerprint

    def of(**options: Any) -> str:
        given = GroupOptions(**options)
        return settings_fingerprint(given.identity(), given.paths())

    monkeypatch.syspath_prepend(str(tmp_path))
    (tmp_path / "package_of_rewards").mkdir()
    (tmp_path / "package_of_rewards" / "__init__.py").touch()
    for name, file in (("rewards_a", "rewards_a.py"), ("package_of_rewards.b", "package_of_rewards/b.py")):
        code = tmp_path / file
        code.write_text("def brevity(prompts, texts): return [1.0] * len(texts)\n")
        rewarded, measured = {"reward": f"{name}:brevity"}, {"metric": f"{name}:brevity"}
        before = of(**rewarded), of(**measured)
        assert (of(**rewarded), of(**measured)) == before
        code.write_text("def brevity(prompts, texts): return [-1.0] * len(texts)\n")
        assert of(**rewarded) != before[0]
        assert of(**measured) == before[1]
    assert list(GroupOptions(reward="nothing_of_this_name.at_all:f").paths()) == []
