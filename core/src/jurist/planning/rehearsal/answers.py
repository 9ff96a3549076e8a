"""Answers: what stands for the answers that nobody has given yet."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import count

from jurist.chat import Sampling
from jurist.planning.bounds import Bounds
from jurist.records import Message, Usage

_PLACEHOLDER = re.compile("\ue000(\\d+) (\\d+) \\d+\ue001")
"""How many tokens it stands for, at least and at most, and a number of its own; texts of people have no
such characters."""


class Answers:
    """Answers of which only the length is known, and that only from one token to ``max_tokens``.

    An answer is a placeholder. A later request that quotes it holds the placeholder, so that the tokens it
    stands for can be added to those of the text around it, and no two answers are equal. ``fortunate``: no
    critique finds a fault, a filter leaves nothing to the judges, and verdicts lead to the fewest
    comparisons; otherwise the opposite.
    """

    def __init__(self, *, fortunate: bool) -> None:
        self.fortunate = fortunate
        self._numbers = count()

    def length(self, sampling: Sampling) -> Bounds:
        """How many tokens an answer has."""
        return Bounds(low=1, high=sampling.max_tokens)

    def text(self, length: Bounds) -> str:
        """An answer of that length."""
        return f"\ue000{length.low} {length.high} {next(self._numbers)}\ue001"


def usage_of(length: Bounds) -> Usage:
    """The length of an answer as a usage, which roles hand on and add up."""
    return Usage(prompt_tokens=int(length.low), completion_tokens=int(length.high))


def length_in(usage: Usage) -> Bounds:
    """The length that :func:`usage_of` put into a usage."""
    return Bounds(low=usage.prompt_tokens, high=usage.completion_tokens)


def without_answers(messages: Iterable[Message]) -> tuple[tuple[Message, ...], Bounds]:
    """The messages without placeholders, and how many tokens these stand for."""
    kept, low, high = [], 0, 0
    for message in messages:
        found = _PLACEHOLDER.findall(message.content)
        low += sum(int(least) for least, _ in found)
        high += sum(int(most) for _, most in found)
        text = _PLACEHOLDER.sub("", message.content) if found else message.content
        kept.append(message.model_copy(update={"content": text}) if found else message)
    return tuple(kept), Bounds(low=low, high=high)
