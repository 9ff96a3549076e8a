"""Word-level differences between two texts."""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import SequenceMatcher

_CJK = "\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\uf900-\ufaff"
_WORD = re.compile(rf"[{_CJK}]|(?:(?![{_CJK}])\w)+|\s+|[^\w\s]")


@dataclass(frozen=True)
class Piece:
    """A stretch of text that is the same in the other text, or is not."""

    text: str
    changed: bool


def differences(before: str, after: str) -> tuple[list[Piece], list[Piece]]:
    """Both texts in pieces: what ``after`` dropped of ``before``, and what it added.

    Words are compared, and in Chinese, Japanese and Korean single characters. The pieces of each side
    make up its whole text.
    """
    old, new = _WORD.findall(before), _WORD.findall(after)
    left: list[Piece] = []
    right: list[Piece] = []
    for tag, old_from, old_to, new_from, new_to in SequenceMatcher(a=old, b=new).get_opcodes():
        # Spaces that are all two stretches have in common would only chop up what is marked.
        changed = tag != "equal" or (bool(left or right) and not "".join(old[old_from:old_to]).strip())
        _append(left, old[old_from:old_to], changed)
        _append(right, new[new_from:new_to], changed)
    return left, right


def _append(pieces: list[Piece], words: list[str], changed: bool) -> None:
    """Add words to the last piece, if it is of their kind, else as a new one."""
    text = "".join(words)
    if text and pieces and pieces[-1].changed == changed:
        text = pieces.pop().text + text
    if text:
        pieces.append(Piece(text, changed))
