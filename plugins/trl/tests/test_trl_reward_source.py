"""Rewards of Python functions: what fails is asked again and never becomes a number."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from jurist.errors import ContractError, ProviderError, UsageError
from jurist_trl.reward_source import Prompts, RetriedReward, load_reward_function

PROMPTS = [[{"role": "user", "content": name}] for name in "abc"]


def test_only_what_has_no_reward_is_asked_again() -> None:
    asked: list[list[str]] = []

    def function(prompts: Prompts, texts: Sequence[str]) -> list[float | None]:
        asked.append([prompt[0]["content"] + text for prompt, text in zip(prompts, texts, strict=True)])
        return [1.0, None, math.nan] if len(asked) == 1 else [2.0, math.inf][: len(texts)]

    rewards = RetriedReward(function, 1, pause=0)(PROMPTS, ["x", "y", "z"])
    assert asked == [["ax", "by", "cz"], ["by", "cz"]]
    assert rewards.values == [1.0, 2.0, None]
    assert rewards.error == "the reward function gave no finite number"


def test_an_exception_is_asked_again_and_kept_as_the_cause() -> None:
    calls = 0

    def function(prompts: Prompts, texts: Sequence[str]) -> list[float | None]:
        nonlocal calls
        calls += 1
        raise TimeoutError("too slow")

    rewards = RetriedReward(function, 2, pause=0)(PROMPTS, ["x", "y", "z"])
    assert calls == 3
    assert rewards.values == [None, None, None]
    assert rewards.error == "TimeoutError: too slow"


def test_what_no_retry_can_help_is_raised_at_once() -> None:
    def refused(prompts: Prompts, texts: Sequence[str]) -> list[float | None]:
        raise ProviderError("wrong key", fatal=True)

    with pytest.raises(ProviderError, match="wrong key"):
        RetriedReward(refused, 2, pause=0)(PROMPTS, ["x", "y", "z"])
    with pytest.raises(ContractError, match="gave 1 rewards for 3 responses"):
        RetriedReward(lambda prompts, texts: [1.0], 2, pause=0)(PROMPTS, ["x", "y", "z"])


@pytest.mark.parametrize("name", ["no_such_module:function", "math:no_such_function"])
def test_a_function_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(UsageError, match=f"reward function {name} could not be loaded"):
        load_reward_function(name)
