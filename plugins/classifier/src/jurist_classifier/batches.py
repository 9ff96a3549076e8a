"""Batches: which examples make an optimizer step."""

from __future__ import annotations

import random
from collections.abc import Sequence

_SORTED = 8
"""How many batches' worth of examples are sorted by length together: little padding, and still chance."""


def batches_of_epoch(lengths: Sequence[int], batch_size: int, seed: int, epoch: int) -> list[list[int]]:
    """The numbers of the examples, in batches of like length; depends on the arguments alone."""
    chance = random.Random(f"{seed}/{epoch}")
    order = chance.sample(range(len(lengths)), len(lengths))
    together = _SORTED * batch_size
    batches = []
    for start in range(0, len(order), together):
        alike = sorted(order[start : start + together], key=lambda number: lengths[number])
        batches += [alike[at : at + batch_size] for at in range(0, len(alike), batch_size)]
    chance.shuffle(batches)
    return batches
