"""Log-probabilities of choices, read from the alternatives that a provider lists per token."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

Alternatives = Mapping[str, float]
"""Token texts with their natural log-probabilities, at one position."""

_NEVER = -9999.0
"""What OpenAI writes for a token too unlikely to have a number."""


def choice_logprobs(positions: Sequence[Alternatives], choices: Sequence[str]) -> tuple[float, ...] | None:
    """The log-probability of each choice at the first position that is not blank.

    ``positions`` starts each with the token that was written. Spellings of a choice that differ in
    blanks around it are added up. None when not every choice is listed, or two share a spelling: how
    unlikely an unlisted one is, nobody said.
    """
    wanted = [choice.strip() for choice in choices]
    if len(set(wanted)) < len(wanted):
        return None
    first = next((tokens for tokens in positions if next(iter(tokens), "").strip()), None)
    if first is None:
        return None
    found = [
        [logprob for token, logprob in first.items() if token.strip() == choice and logprob > _NEVER]
        for choice in wanted
    ]
    return tuple(map(_sum, found)) if all(found) else None


def _sum(logprobs: Sequence[float]) -> float:
    """The log of the summed probabilities; rounding never makes it more than certain."""
    highest = max(logprobs)
    return min(0.0, highest + math.log(sum(math.exp(logprob - highest) for logprob in logprobs)))
