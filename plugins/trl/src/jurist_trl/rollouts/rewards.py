"""Where rewards come from; what fails is asked again, and never becomes a number."""

from __future__ import annotations

import asyncio
import importlib
import inspect
import threading
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from jurist.errors import ContractError, JuristError, ProviderError, UsageError
from jurist.train_jobs import ScoreResponses, TrainJob
from jurist_trl.rollouts.component import RolloutTrainer, named_sources
from jurist_trl.tokens import ChatMessages

Values = list[float | None]

_LARGEST = (2 - 2**-23) * 2.0**127
"""The largest finite number in float32."""


class Rewards(NamedTuple):
    """One reward per response, None where none could be had, and the last error met on the way.

    ``parts`` holds what each source gave, by its name, before any weight.
    """

    values: Values
    error: str | None
    parts: Mapping[str, Values]


class RewardSource:
    """The weighted sum of what several sources say of a response.

    A response that one of them has no reward for has none at all, and is not shown to the others.
    """

    def __init__(self, sources: Mapping[str, ScoreResponses], weights: Sequence[float] | None = None) -> None:
        self._sources = sources
        self._weights = weights or [1.0] * len(sources)

    @classmethod
    def of(cls, job: TrainJob, trainer: RolloutTrainer) -> RewardSource:
        """The rewards of a training: of the job's reward models, the option ``reward`` and the scorers.

        Raises:
            UsageError: one cannot be loaded.
        """
        options = trainer.options
        models = [_reward_model(path) for path in job.reward_models]
        function = _retried(options.reward, options.reward_retries) if options.reward is not None else None
        sources = named_sources(models, function, trainer.score)  # scorers' engine retries by itself
        return cls(sources, options.reward_weights)

    def __call__(self, prompts: Sequence[ChatMessages], texts: Sequence[str]) -> Rewards:
        """The rewards of ``texts``, each a response to the prompt in the same place."""
        totals: Values = [0.0] * len(texts)
        parts: dict[str, Values] = {}
        error: str | None = None
        for weight, (name, source) in zip(self._weights, self._sources.items(), strict=True):
            asked = [i for i, total in enumerate(totals) if total is not None]
            given = source([prompts[i] for i in asked], [texts[i] for i in asked]) if asked else []
            answers = checked(name, given, len(asked))
            parts[name] = [None] * len(texts)
            for i, answer in zip(asked, answers, strict=True):
                parts[name][i] = answer
                totals[i] = None if answer is None else _finite((totals[i] or 0.0) + weight * answer)
            if any(totals[i] is None for i in asked):
                met = source.error if isinstance(source, Retried) else None
                error = met or f"{name} gave no finite number"
        return Rewards(totals, error, parts)


class Retried:
    """Asks a function; asks again, with growing pauses, for what it did not answer.

    ``error`` is the last one it met.
    """

    def __init__(self, function: ScoreResponses, retries: int, *, pause: float = 0.5) -> None:
        self._function = function
        self._retries = retries
        self._pause = pause
        self.error: str | None = None

    def __call__(self, prompts: Sequence[ChatMessages], texts: Sequence[str]) -> Values:
        """What the function says of ``texts``, None where it says nothing."""
        values: Values = [None] * len(texts)
        for attempt in range(self._retries + 1):
            missing = [i for i, value in enumerate(values) if value is None]
            if not missing:
                break
            if attempt:
                time.sleep(self._pause * 2 ** (attempt - 1))
            answers = self._ask([prompts[i] for i in missing], [texts[i] for i in missing])
            for i, answer in zip(missing, answers, strict=True):
                values[i] = answer
        return values

    def _ask(self, prompts: Sequence[ChatMessages], texts: Sequence[str]) -> Values:
        try:
            answers = self._function(prompts, texts)
        except Exception as error:
            # of our own errors, a retry helps against that of a call alone
            if isinstance(error, JuristError) and (not isinstance(error, ProviderError) or error.fatal):
                raise
            self.error = _described(error)
            return [None] * len(texts)
        self.error = None
        return checked("the function", answers, len(texts))


def load_function(name: str) -> ScoreResponses:
    """The function ``module:function`` of an option; an async one is made a plain one.

    Raises:
        UsageError: there is no such function.
    """
    module, _, attribute = name.partition(":")
    try:
        function = getattr(importlib.import_module(module), attribute)
    except (ImportError, AttributeError) as error:
        raise UsageError(
            f"function {name} could not be loaded",
            provided_by="jurist-trl",
            cause=error,
            hint="give it as module:function, importable from where training runs",
        ) from error
    if inspect.iscoroutinefunction(function) or inspect.iscoroutinefunction(type(function).__call__):
        return _EventLoop().plain(function)
    plain: ScoreResponses = function
    return plain


def _reward_model(path: Path) -> ScoreResponses:
    from jurist_trl.reward_model import RewardModel

    return RewardModel(path).score


def _retried(name: str, retries: int) -> ScoreResponses:
    return Retried(load_function(name), retries)


def checked(name: str, answers: Sequence[float | None], expected: int) -> Values:
    """The answers as they were given, None for what is no finite number.

    Raises:
        ContractError: ``name`` gave something else, or not as many answers as were ``expected``.
    """
    hint = "return one float or None per response, in order"
    try:
        values = [None if answer is None else _finite(answer) for answer in answers]
    except TypeError as error:
        raise ContractError(f"{name} gave no list of numbers", cause=error, hint=hint) from error
    if len(values) != expected:
        raise ContractError(f"{name} gave {len(values)} numbers for {expected} responses", hint=hint)
    return values


def _finite(value: float) -> float | None:
    """``value``, or None where it is no finite number in the float32 that trainings compute in."""
    return float(value) if abs(value) <= _LARGEST else None


def _described(error: Exception) -> str:
    text = error.what if isinstance(error, ProviderError) else str(error)
    return f"{type(error).__name__}: {text}"


class _EventLoop:
    """One event loop in a thread of its own, so that clients of async functions outlive a call."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        threading.Thread(target=self._loop.run_forever, name="jurist-reward", daemon=True).start()

    def plain(self, function: Callable[..., Awaitable[Any]]) -> ScoreResponses:
        async def call(prompts: Sequence[ChatMessages], texts: Sequence[str]) -> Any:
            return await function(prompts, texts)

        return lambda prompts, texts: asyncio.run_coroutine_threadsafe(
            call(prompts, texts), self._loop
        ).result()
