"""Strata: labels by how much of the jury was for them, and how many of each people look at."""

from __future__ import annotations

import math
from collections.abc import Mapping

from jurist.records import Judgment
from jurist.stage_records import Judged

STRATA = ("unanimous", "mostly", "contested", "filter")
"""How much of a jury was for its label: all votes; two thirds; less; it was not asked."""

LEAST = 5
"""How many of each stratum are drawn before the rest is shared out."""


def stratum_of(judged: Judged) -> str:
    """How much of the jury was for its label, every order of every judge counted as one vote."""
    if not judged.outcomes:
        return "filter"
    parts = [part for o in judged.outcomes for part in (o.parts if o.order == "both" else (o,))]
    label = (judged.decision.probability or 0) > 0.5
    agreeing = [
        isinstance(part, Judgment) and part.preference != 0.5 and (part.preference > 0.5) == label
        for part in parts
    ]
    if all(agreeing):
        return "unanimous"
    return "mostly" if 3 * sum(agreeing) >= 2 * len(agreeing) else "contested"


def allocation(sizes: Mapping[str, int], total: int) -> dict[str, int]:
    """How many to draw of each stratum: five, then in proportion to the square root of its size."""
    numbers = dict.fromkeys(sizes, 0)
    for _ in range(min(total, sum(sizes.values()))):
        room = [name for name in sizes if numbers[name] < sizes[name]]
        # First those that have the least; then d'Hondt's divisors, which share out in proportion.
        chosen = min(room, key=lambda n: (min(numbers[n], LEAST), (numbers[n] + 1) / math.sqrt(sizes[n])))
        numbers[chosen] += 1
    return numbers
