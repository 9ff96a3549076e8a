"""Near names: what somebody may have meant who wrote a name that nothing has."""

from __future__ import annotations

import difflib
from collections.abc import Iterable


def near_miss(name: str, known: Iterable[str]) -> str:
    """'; did you mean …?' when something near is known, then the list of what is known."""
    names = sorted(known)
    return f"{guess(name, names)} (known: {', '.join(names) or 'none'})"


def guess(name: str, known: Iterable[str]) -> str:
    """'; did you mean …?' when something near is known, else nothing."""
    near = nearest(name, known)
    return f"; did you mean '{near}'?" if near else ""


def nearest(name: str, known: Iterable[str], cutoff: float = 0.5) -> str | None:
    """Which of ``known`` may be meant by ``name``; None where none is near.

    A higher ``cutoff`` (1 is equal) suits names among many that have nothing to do with it.
    """
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1, cutoff=cutoff)), None)
