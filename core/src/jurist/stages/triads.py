"""Triads: three things of which each two were compared, and whether they go round in a circle."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Iterable
from typing import NamedTuple, TypeVar

T = TypeVar("T", bound=Hashable)


class Triads(NamedTuple):
    """How many there are, and how many are cyclic: A over B, B over C, C over A."""

    total: int = 0
    cyclic: int = 0

    @classmethod
    def among(cls, verdicts: Iterable[tuple[T, T]]) -> Triads:
        """Count those among verdicts, given as (better, worse); about any two things there is at most one.

        Cyclic triads are the measure of inconsistency of Kendall & Babington Smith (1940), "On the method of
        paired comparisons", Biometrika 31. Not every two things need have been compared.
        """
        given = set(verdicts)
        worse: defaultdict[T, set[T]] = defaultdict(set)
        better: defaultdict[T, set[T]] = defaultdict(set)
        for one, other in given:
            worse[one].add(other)
            better[other].add(one)
        met = {each: worse[each] | better[each] for pair in given for each in pair}
        # Each triad is found three times, once from each of its verdicts.
        total = sum(len(met[one] & met[other]) for one, other in given) // 3
        return cls(total, sum(len(better[one] & worse[other]) for one, other in given) // 3)
