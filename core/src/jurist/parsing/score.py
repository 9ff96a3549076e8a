"""Scores in text."""

from __future__ import annotations

import re
from collections.abc import Iterator

from jurist.parsing.context import is_meant, without_quotations
from jurist.parsing.text import json_values, normalised

NUMBER = r"-?\d+(?:\.\d+)?"
END = r"(?![\d.]*\d)(?!,\d)(?!\s*(?:[-~–—]|to\b|到|至)\s*\d)"
WORDS = r"(?:score|rating|grade|points?|评分|得分|分数|打分)(?:\s*\([^()\n]*\))?"
SCALE = r"(?:\s*(?:/|out\s+of)\s*(?P<{}>\d+)(?![\d/]))"
EXPLICIT = re.compile(
    rf"(?:\b{WORDS}\s*(?:is|of|:|=|为|是)*|{WORDS}\s*(?:is|of|:|=|为|是)+)\s*"
    rf"[\[(\"“]*(?P<labelled>{NUMBER}){END}{SCALE.format('scale')}?"
    rf"|\[\[\s*(?P<boxed>{NUMBER})\s*\]\]"
    rf"|(?<![\d./-])(?P<fraction>\d+(?:\.\d+)?){SCALE.format('whole')}"
    r"|(?<![\d.到至~-])(?P<fen>\d+(?:\.\d+)?)\s*分(?![之钟])",
    re.IGNORECASE,
)
ALONE = re.compile(rf"[^\w-]*(?P<number>{NUMBER})\W*")


def parse_score(text: str, low: float = 1, high: float = 10) -> float | None:
    """The last explicit score in ``text``; None when there is none, or it is not in range."""
    plain = normalised(text)
    if alone := re.fullmatch(ALONE, plain):
        return _in_range(alone["number"], low, high)
    stated = [
        (start, number)
        for start, end, value in json_values(plain)
        if (number := _of_json(value)) is not None and is_meant(plain, start, end)
    ]
    stated += _written(without_quotations(plain, ALONE.fullmatch), high)
    return _in_range(max(stated)[1], low, high) if stated else None


def _written(plain: str, high: float) -> Iterator[tuple[int, str]]:
    """Where scores out of ``high`` stand, and what they are; a labelled one on another scale is no number."""
    for match in EXPLICIT.finditer(plain):
        scale = match["scale"] or match["whole"]
        fits = scale is None or float(scale) == high
        if (fits or match["labelled"]) and is_meant(plain, match.start(), match.end()):
            number = match["labelled"] or match["boxed"] or match["fraction"] or match["fen"]
            yield match.start(), number if fits else "nan"


def _of_json(value: object) -> str | None:
    if isinstance(value, dict):
        for key in ("score", "rating", "评分", "分数"):
            number = value.get(key)
            if isinstance(number, int | float) and not isinstance(number, bool):
                return str(number)
    return None


def _in_range(number: str, low: float, high: float) -> float | None:
    value = float(number)
    return value if low <= value <= high else None
