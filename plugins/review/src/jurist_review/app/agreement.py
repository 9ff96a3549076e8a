"""How far reviewers agree with the jury, and with each other, over what they have voted on so far."""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations

from jurist.intervals import Estimate, estimate, wilson
from jurist.validation.corrected import Stratum, corrected_share
from jurist.validation.labelled import Label, right_by
from jurist.validation.strata import STRATA
from jurist_review.app.index import Index
from jurist_review.app.votes import Event

LABELS: tuple[Label, ...] = ("A", "B", "tie")


@dataclass(frozen=True)
class StratumAgreement:
    """Of ``labels`` labels of a stratum, ``checked`` have a person's; ``right``: the share that agrees."""

    stratum: str
    labels: int
    checked: int
    right: Estimate | None


@dataclass(frozen=True)
class JuryAgreement:
    """How many of the jury's labels people would give too.

    ``estimate`` is about the labels of all strata that have a person's label: ``covered`` is their share of
    all labels; None where none has one.
    """

    checked: int
    labels: int
    covered: float
    estimate: Estimate | None
    strata: tuple[StratumAgreement, ...]


@dataclass(frozen=True)
class Pair:
    """Two reviewers on the items that both labelled; ``alpha`` is None where chance agreement is complete."""

    reviewers: tuple[str, str]
    same: Estimate
    alpha: float | None


@dataclass(frozen=True)
class ReviewerAgreement:
    """Krippendorff's alpha (nominal) of all reviewers, over ``items`` with two labels or more; pairs."""

    items: int
    alpha: float | None
    pairs: tuple[Pair, ...]


def labels_by_item(standing: Sequence[Event]) -> dict[str, dict[str, Label]]:
    """The label that each reviewer gave to each item."""
    found: dict[str, dict[str, Label]] = {}
    for event in standing:
        if event.label is not None:
            found.setdefault(event.item, {})[event.reviewer] = event.label
    return found


def consensus(labels: Mapping[str, Mapping[str, Label]]) -> dict[str, Label | None]:
    """The label that most reviewers of an item gave; None where no label has more votes than any other."""
    found: dict[str, Label | None] = {}
    for item, given in labels.items():
        ranked = Counter(given.values()).most_common(2)
        found[item] = ranked[0][0] if len(ranked) == 1 or ranked[0][1] > ranked[1][1] else None
    return found


def with_jury(index: Index, stage: str, labels: Mapping[str, Label | None]) -> JuryAgreement:
    """How many of the jury's labels are right by people's ``labels``, corrected for how items were drawn.

    The estimate is that of a spot check (:func:`jurist.validation.corrected.corrected_share`), over the
    strata in which anything was checked.
    """
    given = {item: label for item, label in labels.items() if label is not None}
    sizes, checked = _strata(index, stage, given)
    strata = {
        name: Stratum(size=size, claimed=claimed, checked=checked.get(name, ()))
        for name, (size, claimed) in sizes.items()
    }
    seen = [stratum for stratum in strata.values() if stratum.checked]
    whole = sum(stratum.size for stratum in strata.values())
    return JuryAgreement(
        checked=sum(len(stratum.checked) for stratum in seen),
        labels=whole,
        covered=sum(stratum.size for stratum in seen) / whole if whole else 0.0,
        estimate=corrected_share(seen) if seen else None,
        strata=tuple(
            StratumAgreement(
                stratum=name,
                labels=strata[name].size,
                checked=len(strata[name].checked),
                right=estimate([right for right, _ in strata[name].checked])
                if strata[name].checked
                else None,
            )
            for name in STRATA
            if name in strata
        ),
    )


def among_reviewers(labels: Mapping[str, Mapping[str, Label]]) -> ReviewerAgreement:
    """How far reviewers agree with each other on the items that two or more of them labelled."""
    shared = [given for given in labels.values() if len(given) > 1]
    pairs = []
    for pair in combinations(sorted({name for given in shared for name in given}), 2):
        both = [[given[name] for name in pair] for given in shared if given.keys() >= set(pair)]
        if both:
            same = sum(one == other for one, other in both) / len(both)
            pairs.append(Pair(pair, wilson(same, len(both), len(both)), _alpha(both)))
    return ReviewerAgreement(len(shared), _alpha([list(given.values()) for given in shared]), tuple(pairs))


def _strata(
    index: Index, stage: str, given: Mapping[str, Label]
) -> tuple[dict[str, tuple[int, float]], dict[str, list[tuple[float, float]]]]:
    """Size and mean claim of each stratum, and of each labelled item whether it is right, and its claim."""
    labelled = (
        "SELECT DISTINCT items.item, stratum, preferred, probability FROM items"
        " JOIN claims USING (stage, item)"
        " WHERE stage = ? AND preferred <> '' AND item IN (SELECT value FROM json_each(?))"
    )
    checked: dict[str, list[tuple[float, float]]] = {}
    with index.connected() as connection:
        rows = connection.execute("SELECT * FROM strata WHERE stage = ?", (stage,))
        sizes = {row["stratum"]: (row["size"], row["claimed"]) for row in rows}
        for item, stratum, preferred, claim in connection.execute(labelled, (stage, json.dumps(list(given)))):
            checked.setdefault(stratum, []).append((right_by(given[item], preferred), claim))
    return sizes, checked


def _alpha(ratings: Sequence[Sequence[Label]]) -> float | None:
    """Krippendorff's alpha of the labels of each item; None where nobody ever gave another label."""
    if len({label for given in ratings for label in given}) < 2:
        return None
    from krippendorff import alpha  # numpy is loaded only when there is something to compute

    counts = [[list(given).count(label) for label in LABELS] for given in ratings]
    found = float(alpha(value_counts=counts, level_of_measurement="nominal"))
    return None if math.isnan(found) else found
