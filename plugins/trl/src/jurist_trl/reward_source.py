"""Where PPO's rewards come from; what fails is asked again, and never becomes a number."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import math
import threading
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, NamedTuple

from jurist.errors import ContractError, ProviderError, UsageError

Prompts = Sequence[Sequence[dict[str, str]]]
RewardFunction = Callable[[Prompts, Sequence[str]], Sequence[float | None]]


class Rewards(NamedTuple):
    """One reward per response, None where none could be had, and the last error met on the way."""

    values: list[float | None]
    error: str | None


def load_reward_function(name: str) -> RewardFunction:
    """The function ``module:function`` of the option ``reward``; an async one is made a plain one.

    Raises:
        UsageError: there is no such function.
    """
    module, _, attribute = name.partition(":")
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"reward function {name} could not be loaded",
            provided_by="jurist-trl (trl-ppo)",
            cause=error,
            hint="give option reward as module:function, importable from where training runs",
        ) from error
    return _EventLoop().plain(function) if inspect.iscoroutinefunction(function) else function


class RetriedReward:
    """Asks a reward function; asks again, with growing pauses, for what it did not answer."""

    def __init__(self, function: RewardFunction, retries: int, *, pause: float = 0.5) -> None:
        self._function = function
        self._retries = retries
        self._pause = pause

    def __call__(self, prompts: Prompts, texts: Sequence[str]) -> Rewards:
        """The rewards of ``texts``."""
        values: list[float | None] = [None] * len(texts)
        error: str | None = None
        for attempt in range(self._retries + 1):
            missing = [i for i, value in enumerate(values) if value is None]
            if not missing:
                break
            if attempt:
                time.sleep(self._pause * 2 ** (attempt - 1))
            answers, failure = self._ask([prompts[i] for i in missing], [texts[i] for i in missing])
            error = failure or error
            for i, answer in zip(missing, answers, strict=True):
                values[i] = answer
        return Rewards(values, error)

    def _ask(self, prompts: Prompts, texts: Sequence[str]) -> tuple[list[float | None], str | None]:
        try:
            answers = list(self._function(prompts, texts))
        except Exception as error:
            if isinstance(error, UsageError | ContractError) or getattr(error, "fatal", False):
                raise
            return [None] * len(texts), _described(error)
        if len(answers) != len(texts):
            raise ContractError(
                f"the reward function gave {len(answers)} rewards for {len(texts)} responses",
                hint="return one float or None per response, in order",
            )
        values = [None if a is None or not math.isfinite(a) else float(a) for a in answers]
        return values, "the reward function gave no finite number" if None in values else None


def _described(error: Exception) -> str:
    text = error.what if isinstance(error, ProviderError) else str(error)
    return f"{type(error).__name__}: {text}"


class _EventLoop:
    """One event loop in a thread of its own, so that clients of async functions outlive a call."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="jurist-reward", daemon=True).start()

    def plain(self, function: Callable[..., Awaitable[Any]]) -> RewardFunction:
        async def call(prompts: Prompts, texts: Sequence[str]) -> Any:
            return await function(prompts, texts)

        return lambda prompts, texts: asyncio.run_coroutine_threadsafe(
            call(prompts, texts), self._loop
        ).result()
