"""Verdicts of pairwise judges in text."""

from __future__ import annotations

import re
from collections.abc import Sequence
from types import MappingProxyType
from typing import Literal

from jurist.parsing.text import normalised

Verdict = Literal["a", "b", "tie"]
PREFERENCE: MappingProxyType[Verdict, float] = MappingProxyType({"a": 1.0, "tie": 0.5, "b": 0.0})
"""Verdict → P(A is better)."""


def parse_verdict(text: str, names: Sequence[str] = ("A", "B")) -> Verdict | None:
    """The last explicit verdict of ``text`` between two responses called ``names``; None without one."""
    found = re.findall(
        rf"(?:verdict|结论)\s*:\s*({names[0]}|{names[1]}|tie|平局)\b|\[\[(A|B|C)\]\]", normalised(text), re.I
    )
    last = (found[-1][0] or found[-1][1]).casefold() if found else ""
    return {names[0].casefold(): "a", names[1].casefold(): "b", "tie": "tie", "平局": "tie", "c": "tie"}.get(
        last
    )  # type: ignore[return-value]
