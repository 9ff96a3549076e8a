"""Templates: what core says to a chat model in each role, in English and Chinese.

A template is text with placeholders in single braces, filled in one pass, so that braces in the text
of models and users are left alone; ``{{name}}`` stands for ``{name}`` itself. Text of others stands between
tags that carry ``{nonce}``, a word derived from that text and found nowhere in it, so that it cannot
close its own tag.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Literal

from jurist.constitution import Principle
from jurist.near_names import near_miss
from jurist.records import Prompt
from jurist.templates.chinese import CHINESE
from jurist.templates.english import ENGLISH
from jurist.templates.wording import Wording

Language = Literal["en", "zh"]
PLACEHOLDER = re.compile(r"\{\{([a-z_]+)\}\}|\{([a-z_]+)\}")
_SHARED = frozenset({"principles", "critique_request", "revision_request"})
HAN = re.compile(r"[\u3400-\u4dbf\u4e00-\u9fff]")
LATIN_WORD = re.compile(r"[A-Za-z]+")


def wording(language: Language) -> Wording:
    """All templates of one language."""
    return CHINESE if language == "zh" else ENGLISH


def language_of(principles: Sequence[Principle], prompt: Prompt) -> Language:
    """The language the principles are written in, or the prompt where there are none."""
    text = "\n".join(p.description for p in principles) or "\n".join(m.content for m in prompt.messages)
    if text.isascii():  # the usual case, told fast
        return "en"
    return "zh" if len(HAN.findall(text)) > len(LATIN_WORD.findall(text)) else "en"


def conversation_text(prompt: Prompt, words: Wording) -> str:
    """The conversation as one text, each turn opened by who speaks."""
    return "\n\n".join(f"{words.speakers[m.role]}{m.content}" for m in prompt.messages)


def nonce_for(texts: Iterable[str]) -> str:
    """A word of eight hex digits that occurs in none of ``texts``; the same for the same texts.

    Their order plays no part, so both orders of a comparison begin alike, which models need to read but once.
    """
    joined = "\x00".join(sorted(texts))
    seed = joined
    while True:
        nonce = hashlib.sha256(seed.encode("utf-8", "surrogatepass")).hexdigest()[:8]
        if nonce not in joined:
            return nonce
        seed += nonce


def fill(template: str, values: Mapping[str, str]) -> str:
    """``template`` with its placeholders replaced; ``{nonce}`` is derived from ``values``.

    Raises:
        KeyError: the template has a placeholder without a value.
    """
    complete = {"nonce": nonce_for(values.values()), **values}
    return "".join([complete[text] if is_name else text for is_name, text in _parts(template)])


def shared_length(template: str, values: Mapping[str, str]) -> int:
    """How many characters of the filled template come before anything that differs between requests.

    Principles, and what is asked of them, are the same in many requests; other values are of one item.
    """
    length = 0
    for is_name, text in _parts(template):
        if is_name and text not in _SHARED:
            break
        length += len(values[text] if is_name else text)
    return length


@lru_cache(maxsize=64)
def _parts(template: str) -> tuple[tuple[bool, str], ...]:
    """The template as plain texts and names of placeholders (True), in order."""
    parts, end = [], 0
    for match in PLACEHOLDER.finditer(template):
        literal, name = match.groups()
        parts.append((False, template[end : match.start()] + (f"{{{literal}}}" if literal else "")))
        if name:
            parts.append((True, name))
        end = match.end()
    return (*parts, (False, template[end:]))


def template_faults(template: str, known: Iterable[str], required: Iterable[str]) -> list[str]:
    """What is wrong with a custom template: unknown placeholders, and required ones it lacks."""
    names = {match.group(2) for match in PLACEHOLDER.finditer(template) if match.group(2)}
    allowed = {*known, "nonce"}
    unknown = [
        f"unknown placeholder {{{name}}}{near_miss(name, allowed)}" for name in sorted(names - allowed)
    ]
    lacking = [f"it lacks {{{name}}}" for name in sorted(set(required) - names)]
    return unknown + lacking


__all__ = [
    "Language",
    "Wording",
    "conversation_text",
    "fill",
    "language_of",
    "nonce_for",
    "shared_length",
    "template_faults",
    "wording",
]
