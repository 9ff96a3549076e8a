"""What all parsers do to a text before they read it."""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Iterator
from typing import Any

OPENING = re.compile(r"<(?:think|thinking|reasoning)>", re.IGNORECASE)
CLOSING = re.compile(r"</(?:think|thinking|reasoning)>", re.IGNORECASE)
JSON_START = re.compile(r"\{\s*\"|\[\s*\{\s*\"")
CODE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
MARKDOWN = re.compile(r"\*+|`+(?:json)?|~~|(?<!\w)_+|_+(?!\w)")
HEADING = re.compile(r"^[ \t]*#+[ \t]*(.*?)[ \t:]*$", re.MULTILINE)
BLOCK_QUOTE = re.compile(r"^[ \t]*>(?!>).*$", re.MULTILINE)


def without_reasoning(text: str) -> str:
    """``text`` without what a reasoning model thought aloud; unfinished thoughts go with the rest.

    Some chat templates write the opening tag themselves, so a closing tag alone ends thoughts as well.
    """
    opening = OPENING.search(text)
    closings = list(CLOSING.finditer(text))
    if not closings:
        return text[: opening.start()].strip() if opening else text.strip()
    after = text[closings[-1].end() :]
    unfinished = OPENING.search(after)
    if unfinished:
        after = after[: unfinished.start()]
    if opening is None or opening.start() > closings[0].start():
        return after.strip()
    return (text[: opening.start()] + after).strip()


def normalised(text: str) -> str:
    """``text`` in ordinary width, without reasoning, block quotes and markdown emphasis.

    A markdown heading becomes a line that ends in a colon, inline code a quotation.
    """
    plain = CODE.sub(r'"\1"', without_reasoning(unicodedata.normalize("NFKC", text)))
    return MARKDOWN.sub("", HEADING.sub(r"\1:", BLOCK_QUOTE.sub("", plain))).strip()


def json_values(text: str) -> Iterator[tuple[int, int, Any]]:
    """The JSON objects and arrays of objects in ``text``, with where each begins and ends."""
    decoder = json.JSONDecoder()
    position = 0
    while found := JSON_START.search(text, position):
        start = found.start()
        try:
            value, position = decoder.raw_decode(text, start)
        except RecursionError:  # nested too deeply to be an answer, wherever one starts to read
            return
        except ValueError:
            position = found.end()
            continue
        yield start, position, value
