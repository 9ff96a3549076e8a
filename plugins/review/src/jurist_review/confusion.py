"""How far two judges say the same of the same comparisons, beyond what chance explains."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations

from jurist.intervals import Estimate, wilson
from jurist.records import JudgeOutcome, Judgment

VERDICTS = ("A", "tie", "B")


@dataclass
class Pair:
    """What two judges said of the comparisons of which both gave a judgment."""

    judges: tuple[str, str]
    counts: Counter[tuple[str, str]] = field(default_factory=Counter)

    @property
    def both(self) -> int:
        """How many comparisons both judged."""
        return self.counts.total()

    @property
    def agreement(self) -> Estimate:
        """The share of them of which both said the same."""
        same = sum(self.counts[verdict, verdict] for verdict in VERDICTS)
        return wilson(same / self.both, self.both, self.both)

    @property
    def kappa(self) -> float | None:
        """Cohen's kappa (Cohen 1960): agreement beyond chance; None where chance alone would be complete."""
        first, second = Counter[str](), Counter[str]()
        for (one, other), count in self.counts.items():
            first[one] += count
            second[other] += count
        chance = sum(first[each] * second[each] for each in VERDICTS) / self.both**2
        return (self.agreement.mean - chance) / (1 - chance) if chance < 1 else None


class Confusion:
    """Counts over comparisons, by pair of judges."""

    def __init__(self) -> None:
        self._pairs: dict[tuple[str, str], Pair] = {}
        self._places: dict[str, int] = {}

    def add(self, outcomes: Sequence[JudgeOutcome]) -> None:
        """Count what the judges said of one comparison; who gave no judgment is left out."""
        for each in outcomes:
            self._places.setdefault(each.source, len(self._places))
        said = [(each.source, verdict(each.preference)) for each in outcomes if isinstance(each, Judgment)]
        for (one, of_one), (other, of_other) in combinations(said, 2):
            self._pairs.setdefault((one, other), Pair((one, other))).counts[of_one, of_other] += 1

    def pairs(self) -> list[Pair]:
        """Every two judges who judged a comparison both, in the order of the jury."""
        return sorted(self._pairs.values(), key=lambda pair: [self._places[name] for name in pair.judges])


def verdict(preference: float) -> str:
    """The side that a probability is for."""
    return "tie" if preference == 0.5 else "A" if preference > 0.5 else "B"


def square(pairs: Iterable[Pair]) -> tuple[list[str], Mapping[tuple[str, str], Pair]]:
    """The names of the judges, and the pair of every two of them in both orders."""
    found: dict[tuple[str, str], Pair] = {}
    for pair in pairs:
        found[pair.judges] = found[pair.judges[::-1]] = pair
    return list(dict.fromkeys(name for names in found for name in names)), found
