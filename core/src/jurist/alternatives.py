"""Log-probabilities of choices, read from the alternatives that a provider lists per token."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

Alternatives = Mapping[str, float]
"""Token texts with their natural log-probabilities, at one position."""

_NEVER = -9999.0
"""What OpenAI writes for a token too unlikely to have a number."""

_NEGLIGIBLE = math.log(1e-3)
"""A token less probable than this may as well never begin an answer."""

_LEAST = 1e-12
"""The share that is left where all of it is taken away, since a log-probability is finite."""


def choice_logprobs(positions: Sequence[Alternatives], choices: Sequence[str]) -> tuple[float, ...] | None:
    """The log-probability of each choice as an answer that starts at the first position that is not blank.

    ``positions`` starts each with the token that was written. Spellings of a choice that differ in
    blanks around it are added up. A choice may be two tokens, the first of which is another choice (``10``,
    where each digit is a token). None when not every choice is listed, or two share a spelling: how
    unlikely an unlisted one is, nobody said.
    """
    wanted = [choice.strip() for choice in choices]
    if len(set(wanted)) < len(wanted):
        return None
    start = next((n for n, tokens in enumerate(positions) if next(iter(tokens), "").strip()), None)
    if start is None:
        return None
    found = {choice: _listed(positions[start], choice) for choice in wanted}
    for choice in [choice for choice in wanted if found[choice] is None]:
        _split_off(choice, found, positions[start : start + 2])
    return None if None in found.values() else tuple(each for each in found.values() if each is not None)


def _listed(tokens: Alternatives, choice: str) -> float | None:
    spellings = [logprob for token, logprob in tokens.items() if token.strip() == choice and logprob > _NEVER]
    return _sum(spellings) if spellings else None


def _split_off(choice: str, found: dict[str, float | None], positions: Sequence[Alternatives]) -> None:
    """Give a choice of two tokens its part of the probability of the choice that is its first token.

    What comes second is known only where that token was written; where it hardly ever is, it does not matter.
    """
    begun = [part for part in found if part and choice.startswith(part) and found[part] is not None]
    if len(begun) != 1:
        return
    beginning, whole = begun[0], found[begun[0]] or 0.0
    second = None
    if next(iter(positions[0])).strip() == beginning and len(positions) > 1:
        second = _listed(positions[1], choice.removeprefix(beginning))
    elif whole < _NEGLIGIBLE:
        second = math.log(_LEAST)
    if second is not None:
        found[choice] = whole + second
        found[beginning] = _without(whole, [whole + second])


def exclusive(logprobs: Sequence[float], choices: Sequence[Sequence[Any]]) -> list[float]:
    """The log-probability of each choice as a whole answer, given those of their tokens one after another.

    ``choices`` has the tokens of each. The tokens of ``1`` also begin the answer ``10`` where that is two
    tokens; here each counts without the longer ones that begin with it.
    """
    tokens = [tuple(choice) for choice in choices]
    left = []
    for own, logprob in zip(tokens, logprobs, strict=True):
        longer = {other for other in tokens if len(other) > len(own) and other[: len(own)] == own}
        nearest = [each for each in longer if not any(each[: len(o)] == o for o in longer - {each})]
        left.append(_without(logprob, [logprobs[tokens.index(each)] for each in nearest]))
    return left


def _without(logprob: float, parts: Sequence[float]) -> float:
    """The log of a probability less some parts of it."""
    if not parts:
        return logprob
    return logprob + math.log(max(1.0 - sum(math.exp(part - logprob) for part in parts), _LEAST))


def _sum(logprobs: Sequence[float]) -> float:
    """The log of the summed probabilities; rounding never makes it more than certain."""
    highest = max(logprobs)
    return min(0.0, highest + math.log(sum(math.exp(logprob - highest) for logprob in logprobs)))
