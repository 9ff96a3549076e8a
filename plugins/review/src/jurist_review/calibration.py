"""Calibration: how often labels are right, by how probable they were said to be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter

from jurist.intervals import Estimate, wilson
from jurist.stage_records import Judged
from jurist.validation.labelled import Label, right_by
from jurist.validation.strata import stratum_of
from jurist_review.rows import Problems, place_of

BINS = 5
"""Probabilities of a label from one half to one are put into so many bins of one width."""


@dataclass(frozen=True)
class Bin:
    """Labels of about the same claim: its mean, and the share of them that are right."""

    claimed: float
    right: Estimate


@dataclass(frozen=True)
class Reliability:
    """The bins of one judge or jury that hold labels, in order; ``ece``: its expected calibration error."""

    name: str
    bins: tuple[Bin, ...]
    ece: float


class _Row(BaseModel):
    """A bin as trainers write it to ``calibration.json``; ``label`` is the mean label that is learnt."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    pairs: int
    confidence: float
    label: float


_ROWS = TypeAdapter(tuple[_Row, ...])


def of_trainer(folder: Path, name: str, problems: Problems) -> Reliability | None:
    """The calibration that a trainer measured on pairs it held out; None where there is none.

    Labels are shares of certainty here, which vary less than ones and zeros: the intervals are rather too
    wide.
    """
    path = folder / "calibration.json"
    if not path.is_file():
        return None
    try:
        rows = [row for row in _ROWS.validate_json(path.read_bytes()) if row.pairs]
    except (OSError, ValueError) as error:
        problems.add(f"{place_of(path)} could not be read: {str(error).splitlines()[0]}")
        return None
    pairs = sum(row.pairs for row in rows)
    bins = tuple(Bin(row.confidence, wilson(row.label, row.pairs, row.pairs)) for row in rows)
    ece = sum(row.pairs * abs(row.confidence - row.label) for row in rows) / pairs if pairs else 0.0
    return Reliability(name, bins, ece) if bins else None


@dataclass(frozen=True)
class _Checked:
    stratum: str
    claimed: float
    right: float


class AgainstPeople:
    """Collects what people say of the labels of a stage; ``labels`` are theirs, by comparison."""

    def __init__(self, labels: Mapping[str, Label]) -> None:
        self._labels = labels
        self._sizes: Counter[str] = Counter()
        self._checked: list[_Checked] = []

    def add(self, judged: Judged) -> None:
        """Take in a comparison; of one that was given no label there is nothing to check."""
        probability = judged.decision.probability
        if probability is None or judged.preferred is None:
            return
        stratum, label = stratum_of(judged), self._labels.get(judged.comparison.id)
        self._sizes[stratum] += 1
        if label is not None:
            right = right_by(label, judged.preferred)
            self._checked.append(_Checked(stratum, max(probability, 1 - probability), right))

    def reliability(self, name: str) -> Reliability | None:
        """The bins; None where nobody checked anything.

        People look at some strata more often than at others, so each checked label counts for as many
        labels of its stratum as there are to one that was checked.
        """
        drawn = Counter(each.stratum for each in self._checked)
        weights = {stratum: self._sizes[stratum] / number for stratum, number in drawn.items()}
        bins: dict[int, list[_Checked]] = {}
        for each in self._checked:
            bins.setdefault(min(BINS - 1, int((each.claimed - 0.5) * 2 * BINS)), []).append(each)
        if not bins:
            return None
        found = {number: _bin(bins[number], weights) for number in sorted(bins)}
        whole = sum(weights[each.stratum] for each in self._checked)
        ece = sum(
            abs(found[number].claimed - found[number].right.mean)
            * sum(weights[each.stratum] for each in bins[number])
            / whole
            for number in found
        )
        return Reliability(name, tuple(found.values()), ece)


def _bin(checked: Iterable[_Checked], weights: Mapping[str, float]) -> Bin:
    """The weighted means; the interval is Wilson's at Kish's effective number of labels."""
    each = [(weights[one.stratum], one) for one in checked]
    whole = sum(weight for weight, _ in each)
    effective = whole**2 / sum(weight**2 for weight, _ in each)
    right = sum(weight * one.right for weight, one in each) / whole
    claimed = sum(weight * one.claimed for weight, one in each) / whole
    return Bin(claimed, wilson(right, effective, len(each)))
