"""Ranking: what was compared in pairs, put in one order by the model of Bradley and Terry."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

import choix
import numpy as np
from numpy.typing import NDArray

from jurist.errors import UsageError
from jurist.records import Record
from jurist.stages.triads import Triads

Matrix = NDArray[np.float64]

_ITERATIONS = 10_000
_EQUAL = 1e-9
"""Sums of labels that differ by less are the same sum, added up in another order."""


class Ranked(Record):
    """One item: its ability, how uncertain that is, and in how many comparisons it was.

    ``ability`` is in log-odds: of two items whose abilities differ by d, the abler one is better with the
    probability 1 / (1 + exp(-d)). The mean of all abilities is 0. ``standard_error`` has the same unit.
    """

    name: str
    ability: float
    standard_error: float
    comparisons: int


class Ranking(Record):
    """The items, the best first, and how much of what was compared contradicts any order.

    Of the ``triads`` (three items of which each two were compared, and one was better on the whole),
    ``cycles`` go round in a circle: A over B, B over C, C over A. By chance that is one in four.
    """

    items: tuple[Ranked, ...]
    triads: int
    cycles: int

    def difference(self, one: str, other: str) -> float:
        """How much abler ``one`` is than ``other``, in log-odds.

        Raises:
            KeyError: one of them is not in the ranking.
        """
        abilities = {item.name: item.ability for item in self.items}
        return abilities[one] - abilities[other]


def rank(comparisons: Iterable[tuple[str, str, float]], *, prior: float = 0.01) -> Ranking:
    """Rank what was compared: (one, other, P(one is better)), each pair as often as it was compared.

    A soft label is that share of a win; a tie, 0.5, is half a win for each. Every two items are taken to
    have won ``prior`` times against each other beforehand, so that one that always won, or was never compared
    with some others, has a finite ability; its standard error then says how little is known.

    The model is that of Bradley & Terry (1952), "Rank analysis of incomplete block designs", Biometrika 39.
    Its likelihood has one maximum if wins link everything to everything (Hunter 2004, "MM algorithms for
    generalized Bradley-Terry models", Annals of Statistics 32), which the prior sees to. choix finds it by
    iterated spectral ranking (Maystre & Grossglauser 2015). Standard errors come of the information matrix,
    as if no comparison depended on another. Cycles are those of Kendall & Babington Smith (1940), "On the
    method of paired comparisons", Biometrika 31; the prior has no part in them.

    Raises:
        UsageError: ``prior`` is not above 0, a probability is not between 0 and 1, or something is compared
            with itself.
    """
    if not prior > 0:
        raise UsageError(f"The prior of a ranking must be above 0; it is {prior}.")
    wins: defaultdict[tuple[str, str], float] = defaultdict(float)
    counts: Counter[str] = Counter()
    for one, other, probability in comparisons:
        _check(one, other, probability)
        wins[one, other] += probability
        wins[other, one] += 1 - probability
        counts.update((one, other))
    names = list(counts)
    abilities, errors = _fitted(_matrix(names, wins) + prior * (1 - np.eye(len(names))))
    items = [
        Ranked(name=name, ability=ability, standard_error=error, comparisons=counts[name])
        for name, ability, error in zip(names, abilities, errors, strict=True)
    ]
    triads = Triads.among(pair for pair, won in wins.items() if won > wins[pair[::-1]] + _EQUAL)
    items.sort(key=lambda item: item.ability, reverse=True)
    return Ranking(items=tuple(items), triads=triads.total, cycles=triads.cyclic)


def _check(one: str, other: str, probability: float) -> None:
    if one == other:
        raise UsageError(f"'{one}' is compared with itself.")
    if not 0 <= probability <= 1:
        raise UsageError(f"P('{one}' is better than '{other}') is {probability}; it must be from 0 to 1.")


def _matrix(names: list[str], wins: dict[tuple[str, str], float]) -> Matrix:
    """How often each (row) won against each other (column)."""
    return np.array([[wins.get((one, other), 0.0) for other in names] for one in names]).reshape(
        len(names), len(names)
    )


def _fitted(wins: Matrix) -> tuple[list[float], list[float]]:
    """Abilities of mean 0 and their standard errors, of wins between every two."""
    count = len(wins)
    if not count:
        return [], []
    abilities = choix.ilsr_pairwise_dense(wins, max_iter=_ITERATIONS)
    abilities -= abilities.mean()
    chances = 1 / (1 + np.exp(abilities[None, :] - abilities[:, None]))
    shared = (wins + wins.T) * chances * chances.T
    information = np.diag(shared.sum(axis=1)) - shared
    # Only differences are known: the information is singular along equal shifts of all, which are taken out.
    shift = np.full((count, count), 1 / count)
    variances = np.diag(np.linalg.inv(information + shift) - shift)
    return abilities.tolist(), np.sqrt(variances).tolist()
