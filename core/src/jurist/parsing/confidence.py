"""How sure a judge says it is: a number, or a word."""

from __future__ import annotations

import re
from collections.abc import Sequence

from jurist.parsing.text import normalised

SIDED, CERTAIN = 0.51, 0.99
"""Bounds of a stated confidence: none turns a verdict round, and none is beyond doubt."""

_STATED = re.compile(
    r"(?P<key>\")?(?:\bconfidence|\bcertainty|(?:置信|确信|信心|把握)(?:程度|度|水平)?)(?(key)\")"
    r"(?:[ \t]+(?:level|score|in|that|of|about)\b[^\n:.,;!?=\"\d]{0,40}?)?"
    r"\s*(?:[:=–—-]|\bis\b|\bof\b|为|是)?[\s\"(\[]*"
    r"(?P<value>\d+(?:\.\d+)?|very high|high|medium|moderate|low|很高|高|中等?|较?低)(?![a-z\d])"
    r"(?P<unit>\s*(?:%|percent\b|/\s*100?\b|out of 100?\b))?",
    re.IGNORECASE,
)
_LEVELS = {
    **dict.fromkeys(("low", "低", "较低"), 0),
    **dict.fromkeys(("medium", "moderate", "中", "中等"), 1),
    **dict.fromkeys(("high", "very high", "高", "很高"), 2),
}
_QUOTES = re.compile(r"[“「『](?P<open>)|[”」』](?P<close>)|(?<!\w)\"|\"(?!\w)")


def parse_confidence(text: str, words: Sequence[float]) -> float | None:
    """The probability that a verdict is right by the last confidence that ``text`` states; None without one.

    ``words`` has what low, medium and high mean. A number up to 1 is a probability, one up to 100 percent,
    and any is out of 10 or 100 where the text says so. What is quoted is not stated. From 0.51 to 0.99.
    """
    plain = normalised(text)
    for match in reversed(list(_STATED.finditer(plain))):
        value = _value(match["value"].lower(), re.sub(r"\s", "", match["unit"] or "").lower(), words)
        if value is not None and not _is_quoted(plain, match.start()):
            return min(max(value, SIDED), CERTAIN)
    return None


def _value(value: str, unit: str, words: Sequence[float]) -> float | None:
    if value in _LEVELS:
        return words[_LEVELS[value]]
    number = float(value)
    if unit in ("%", "percent") or unit.endswith("100") or (not unit and number > 1):
        number /= 100
    elif unit:
        number /= 10
    return number if number <= 1 else None


def _is_quoted(plain: str, position: int) -> bool:
    """Whether a quotation that was opened in the same line is still open."""
    is_open = False
    for quote in _QUOTES.finditer(plain[plain.rfind("\n", 0, position) + 1 : position]):
        is_open = quote["open"] is not None or (not is_open and quote["close"] is None)
    return is_open
