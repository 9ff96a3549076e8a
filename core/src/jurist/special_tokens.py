"""Special tokens that a text spells, which a tokenizer would read as the tokens themselves."""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import Any


def spelled(tokenizer: Any) -> frozenset[str]:
    """How the special tokens of a tokenizer of Transformers are spelled."""
    return frozenset(token.content for token in tokenizer.added_tokens_decoder.values() if token.special)


def broken(text: str, special: frozenset[str]) -> str:
    """``text`` with a space in each ``special`` token that it spells, as in ``< eos>``.

    Else a response could end its turn and speak for another, to a judge as to a reward model. The tokens that
    a chat template writes are not meant, so this is for the contents that it is given.
    """
    return _any_of(special).sub(_broken, text)


@lru_cache(maxsize=8)
def _any_of(special: Iterable[str]) -> re.Pattern[str]:
    """Finds them, the longest of several first."""
    either = "|".join(re.escape(text) for text in sorted(special, key=len, reverse=True))
    return re.compile(either or r"(?!)")  # what never matches


def _broken(match: re.Match[str]) -> str:
    return f"{match[0][0]} {match[0][1:]}" if len(match[0]) > 1 else " "
