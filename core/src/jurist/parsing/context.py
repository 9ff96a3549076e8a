"""Whether what stands in a text is meant: not quoted, denied, asked, conditional or reported."""

from __future__ import annotations

import re
from collections.abc import Callable

from jurist.parsing import phrases

SENTENCE = 300  # how far around a verdict its sentence is looked at, so that long texts stay cheap


def without_quotations(plain: str, is_label: Callable[[str], object]) -> str:
    """``plain`` with its quotations blanked out; labels and whole lines only lose their marks."""

    def unquoted(match: re.Match[str]) -> str:
        inner = next(group for group in match.groups() if group is not None)
        before = plain[: match.start()].rpartition("\n")[2].strip()
        after = plain[match.end() :].partition("\n")[0].strip(" \t.。")
        if (not before and not after) or is_label(inner.strip()):
            return f" {inner} "
        # The key of a dictionary that is not quite JSON.
        return f" {inner} " if after.startswith(":") else " " * len(match.group())

    return phrases.QUOTED.sub(unquoted, plain)


def is_meant(plain: str, start: int, end: int) -> bool:
    """Whether the writer of ``plain`` stands by what it says from ``start`` to ``end``."""
    window = plain[max(0, start - SENTENCE) : start]
    before = window.rpartition("\n")[2]
    clause = phrases.CLAUSE_END.split(before)[-1]
    rest = plain[end : end + SENTENCE].partition("\n")[0]
    if phrases.DENIED.search(clause.rpartition(":")[2]) or phrases.NOT_GIVEN.search(clause):
        return False
    if phrases.REPORTED.search(clause) or phrases.REPORTED.search(_introduction(window)):
        return False
    if phrases.CONDITIONAL.search(before) or phrases.CONDITION.match(rest):
        return False
    ending = re.search(r"[.!?。;]", rest)
    return ending is None or ending.group() != "?"


def _introduction(window: str) -> str:
    """How the line above ends, if in a colon: ``The response says:``."""
    above = window.rstrip()
    introduces = above.endswith(":") and "\n" in window[len(above) :]
    return phrases.CLAUSE_END.split(above)[-1] if introduces else ""
