"""How sure a judge says it is: a number, or a word."""

from __future__ import annotations

import re
from collections.abc import Sequence

from jurist.parsing.text import normalised

SIDED, CERTAIN = 0.51, 0.99
"""Bounds of a stated confidence: none turns a verdict round, and none is beyond doubt."""

LEAST_PERCENT = 50
"""A number above 1 without a unit is taken for percent from here on: 9 may be of 10, 4 of 5."""

_NUMBER = r"(?:\d+(?:\.\d+|,\d{1,2}(?!\d))?|\.\d+)"
_UNIT = r"(?:%|percent\b|(?:/|out of\b|of\b)\s*\d+(?:\.\d+)?)"
_WORD = (
    r"very[ \t]+high|high|medium|moderate|low|very[ \t]+low|very[ \t]+high"
    r"|很高|非常高|高|中等?|较低|低|很低|非常低"
)
_STATED = re.compile(
    r"(?P<key>\")?(?:\bconfidence|\bcertainty|(?:置信|确信|信心|把握)(?:程度|度|水平)?)(?(key)\")"
    r"(?:[ \t]+(?:level|score|in|that|of|about)\b[^\n:.,;!?=\"\d]{0,40}?)?"
    r"\s*(?:[:=–—-]|\bis\b|\bof\b|为|是)?[\s\"(\[]*"
    r"(?:(?:~|≈|\b(?:about|around|approximately|approx\.?|roughly)\b|大约|大概|约)\s*)?"
    rf"(?:(?P<number>{_NUMBER})(?![a-z\d])(?P<unit>\s*{_UNIT})?|(?P<word>{_WORD})(?!\w))"
    rf"(?P<more>[ \t]*(?:[-–—~/]|,(?=\d)|\bto\b|\bor\b|±|\+/-|至|到)[ \t]*(?:{_NUMBER}|(?:{_WORD})(?!\w)))?",
    re.IGNORECASE,
)
_LEVELS = {
    **dict.fromkeys(("very low", "low", "低", "较低", "很低", "非常低"), 0),
    **dict.fromkeys(("medium", "moderate", "中", "中等"), 1),
    **dict.fromkeys(("high", "very high", "高", "很高", "非常高"), 2),
}
_QUOTES = re.compile(r"[“「『](?P<open>)|[”」』](?P<close>)|(?<!\w)\"|\"(?!\w)")


def parse_confidence(text: str, words: Sequence[float]) -> float | None:
    """The probability that a verdict is right by the last confidence that ``text`` states; None without one.

    ``words`` has what low, medium and high mean. A number up to 1 is a probability, one from 50 to 100
    percent, and any is out of 10 or 100 where the text says so. Ranges, other scales and numbers that may be
    of any scale are not read: whoever asked may ask again. What is quoted is not stated. From 0.51 to 0.99.
    """
    plain = normalised(text)
    for match in reversed(list(_STATED.finditer(plain))):
        if not _is_quoted(plain, match.start()):
            value = None if match["more"] else _value(match, words)
            return None if value is None else min(max(value, SIDED), CERTAIN)
    return None


def _value(match: re.Match[str], words: Sequence[float]) -> float | None:
    if match["word"]:
        return words[_LEVELS[" ".join(match["word"].lower().split())]]
    number = float(match["number"].replace(",", "."))
    scale = _scale(number, (match["unit"] or "").strip().lower())
    return None if scale is None or number > scale else number / scale


def _scale(number: float, unit: str) -> float | None:
    """What ``number`` is out of; None where nobody can know."""
    if unit in ("%", "percent"):
        return 100
    if unit:
        scale = float(re.findall(r"[\d.]+", unit)[0])
        return scale if scale in (10, 100) else None
    if number <= 1:
        return 1
    return 100 if number >= LEAST_PERCENT else None


def _is_quoted(plain: str, position: int) -> bool:
    """Whether a quotation that was opened in the same line is still open."""
    is_open = False
    for quote in _QUOTES.finditer(plain[plain.rfind("\n", 0, position) + 1 : position]):
        is_open = quote["open"] is not None or (not is_open and quote["close"] is None)
    return is_open
