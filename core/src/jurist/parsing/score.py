"""Scores in text."""

from __future__ import annotations

import re

from jurist.parsing.text import json_values, normalised

NUMBER = r"(?P<number>-?\d+(?:\.\d+)?)"
END = r"(?![\d.]*\d)(?!\s*(?:-|~|to\b|到|至)\s*\d)"
WORDS = r"(?:score|rating|grade|points?|评分|得分|分数|打分)"
EXPLICIT = re.compile(
    rf"\b{WORDS}\s*(?:is|of|:|=|为|是)*\s*[\[(\"“]*{NUMBER}{END}"
    rf"|{WORDS}\s*(?:is|of|:|=|为|是)+\s*[\[(\"“]*(?P<zh>-?\d+(?:\.\d+)?){END}"
    rf"|\[\[\s*(?P<boxed>-?\d+(?:\.\d+)?)\s*\]\]"
    rf"|(?<![\d./-])(?P<of_ten>\d+(?:\.\d+)?)\s*(?:/|out of)\s*10(?!\d)"
    rf"|(?<![\d.到至~-])(?P<fen>\d+(?:\.\d+)?)\s*分(?![之钟])",
    re.IGNORECASE,
)
ALONE = re.compile(rf"[^\w-]*{NUMBER}\W*")


def parse_score(text: str, low: float = 1, high: float = 10) -> float | None:
    """The last explicit score in ``text``; None when there is none, or it is not in range."""
    plain = normalised(text)
    if alone := re.fullmatch(ALONE, plain):
        return _in_range(alone["number"], low, high)
    found = [(start, _of_json(value)) for start, _, value in json_values(plain)]
    stated = [(start, number) for start, number in found if number is not None]
    for match in EXPLICIT.finditer(plain):
        stated.append((match.start(), next(filter(None, match.groups()))))
    return _in_range(max(stated)[1], low, high) if stated else None


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
