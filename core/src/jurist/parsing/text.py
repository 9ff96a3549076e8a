"""What all parsers do to a text before they read it."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

REASONING = re.compile(r"<(think|thinking|reasoning)>.*?</\1>", re.DOTALL | re.IGNORECASE)
OPEN_REASONING = re.compile(r"<(think|thinking|reasoning)>.*\Z", re.DOTALL | re.IGNORECASE)
MARKDOWN = re.compile(r"\*+|`+(?:json)?|~~|(?<!\w)_+|_+(?!\w)")
HEADING = re.compile(r"^[ \t]*#+[ \t]*(.*?)[ \t:]*$", re.MULTILINE)
BLOCK_QUOTE = re.compile(r"^[ \t]*>(?!>).*$", re.MULTILINE)


def without_reasoning(text: str) -> str:
    """``text`` without what a reasoning model thought aloud; unfinished thoughts go with the rest."""
    text = REASONING.sub("", text)
    before, closing, after = text.rpartition("</think>")  # some templates leave out the opening tag
    return OPEN_REASONING.sub("", after if closing else before or after).strip()


def normalised(text: str) -> str:
    """``text`` in ordinary width, without reasoning, block quotes and markdown emphasis.

    A markdown heading becomes a line that ends in a colon.
    """
    plain = unicodedata.normalize("NFKC", without_reasoning(text))
    return MARKDOWN.sub("", HEADING.sub(r"\1:", BLOCK_QUOTE.sub("", plain))).strip()


def json_values(text: str) -> Iterator[tuple[int, int, Any]]:
    """The JSON objects and arrays of objects in ``text``, with where each begins and ends."""
    decoder = json.JSONDecoder()
    position = 0
    while found := re.compile(r"[{\[]").search(text, position):
        start = found.start()
        try:
            value, end = decoder.raw_decode(text, start)
        except ValueError:
            position = start + 1
            continue
        position = end
        if isinstance(value, dict) or (isinstance(value, list) and value and isinstance(value[0], dict)):
            yield start, end, value
