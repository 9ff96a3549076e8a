"""What the simulated model says."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

from jurist.parsing import parse_verdict
from jurist.testing.simulator.asked import Asked

Answer = Callable[[Asked], str | Mapping[str, float]]
"""What the model says to a request: a text, or one word of those that it gives the probabilities of."""

GARBAGE = (
    "Lorem ipsum dolor sit amet, consectetur adipiscing elit, sed do eiusmod tempor incididunt ut labore "
    "et dolore magna aliqua."
)
REFUSAL = "I'm sorry, but I can't help with that."
MARKER = "(good)"

_FIRST = re.compile(r"<(response-|回答)A-(\w+)>")
_LETTER_QUESTIONS = ("Answer with the letter A or B alone.", "只回答字母 A 或 B。")
_WRITTEN = MappingProxyType({f"Verdict: {name}": name for name in ("A", "B", "tie")})
_ODDS: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {"A": {"A": 0.9, "B": 0.1}, "B": {"B": 0.9, "A": 0.1}, "tie": {"A": 0.5, "B": 0.5}}
)


@dataclass(frozen=True)
class Said:
    """An answer as it is sent: cut, counted, and with the odds of its first word if they were asked for."""

    text: str
    finish: Literal["stop", "length", "stop_sequence", "refusal"]
    tokens: int
    stop: str | None = None
    odds: Mapping[str, float] | None = None


def judge_by_marker(asked: Asked) -> str:
    """Prefer the response with ``(good)`` in it; echo prompts that hold no pair of responses."""
    for role, text in reversed(asked.messages):
        if role == "user" and (pair := _pair(text)) is not None:
            good = [MARKER in response for response in pair]
            return "Verdict: tie" if good[0] is good[1] else f"Verdict: {'A' if good[0] else 'B'}"
    return " ".join(asked.messages[-1][1].split())


def _pair(text: str) -> tuple[str, str] | None:
    """The two responses that one of Jurist's templates for judges shows."""
    opened = _FIRST.search(text)
    if opened is None:
        return None
    tag, nonce = opened.groups()
    first, closed, rest = text[opened.end() :].partition(f"</{tag}A-{nonce}>")
    second, closed_too, _ = rest.partition(f"<{tag}B-{nonce}>")[2].partition(f"</{tag}B-{nonce}>")
    return (first, second) if closed and closed_too else None


def cut(text: str, max_tokens: int | None, stops: Sequence[str]) -> Said:
    """``text`` up to its first stop and its last permitted word."""
    found = min(((text.find(stop), stop) for stop in stops if stop in text), default=None)
    if found is not None:
        text = text[: found[0]]
    words = text.split()
    if max_tokens is not None and len(words) > max_tokens:
        return Said(" ".join(words[:max_tokens]), "length", max_tokens)
    if found is not None:
        return Said(text, "stop_sequence", len(words), found[1])
    return Said(text, "stop", len(words))


def as_letter(asked: Asked, text: str) -> Mapping[str, float] | None:
    """The odds of the letters A and B, likelier first, if a letter with log-probabilities was asked for.

    They follow the verdict that ``text`` gives; without one there are none.
    """
    if not asked.wants_logprobs or not asked.messages[-1][1].rstrip().endswith(_LETTER_QUESTIONS):
        return None
    verdict = _WRITTEN.get(text) or parse_verdict(text)
    return None if verdict is None else _ODDS["tie" if verdict == "tie" else verdict.upper()]
