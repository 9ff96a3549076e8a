"""The report of a validation: records that go to JSON as they are.

Every :class:`jurist.intervals.Estimate` has ``mean``, the ends of its 95% interval, and ``n``, the number of
items behind it. What cannot be measured on the items given is null.
"""

from __future__ import annotations

from typing import Literal

from jurist.intervals import Estimate
from jurist.records import Record


class GivenLabels(Record):
    """The sides that a rater gives, as a run would use them; of the items with a side as label.

    ``accuracy``: of the items given a side, how many the right one. ``coverage``: how many are given one.
    ``right_of_all``: how many are given the right one. ``sided_on_ties``: of the items labelled a tie, how
    many are given a side.
    """

    accuracy: Estimate | None
    coverage: Estimate | None
    right_of_all: Estimate | None
    sided_on_ties: Estimate | None


class Agreement(Record):
    """Accuracy under the four definitions; see ``definitions`` of the report."""

    right_in_both: Estimate | None
    mean_of_orders: Estimate | None
    sum_of_verdicts: Estimate | None
    ties_dropped: Estimate | None
    ties_dropped_coverage: Estimate | None


class Absences(Record):
    """Shares without a verdict, and of declared ties; ``reasons`` counts what is missing by its reason."""

    abstained: Estimate | None
    failed: Estimate | None
    tied: Estimate | None
    reasons: dict[str, int]


class Position(Record):
    """Position bias.

    ``order_agreement``: the same verdict in both orders. ``same_slot``: the same slot won in both;
    ``same_slot_first``: of these, the first slot; ``p_value``: two-sided binomial test of that against one
    half. ``first_chosen``: the first slot won; ``first_labelled``: the first slot has the label.
    """

    order_agreement: Estimate | None
    same_slot: Estimate | None
    same_slot_first: Estimate | None
    p_value: float | None
    first_chosen: Estimate | None
    first_labelled: Estimate | None


class Length(Record):
    """Length bias: the longer response chosen and labelled; accuracy where the longer or shorter is right."""

    longer_chosen: Estimate | None
    longer_labelled: Estimate | None
    accuracy_longer: Estimate | None
    accuracy_shorter: Estimate | None
    difference: Estimate | None


class Bin(Record):
    """One row of a reliability table: labels whose confidence lies from ``low`` to ``high``."""

    low: float
    high: float
    confidence: float
    accuracy: Estimate


class Calibration(Record):
    """Expected calibration error, Brier score, and the bins that hold labels."""

    ece: Estimate
    brier: Estimate
    bins: list[Bin]


class CoveragePoint(Record):
    """Accuracy of the most confident labels: ``threshold`` is the least confidence that is kept."""

    coverage: float
    threshold: float | None
    accuracy: Estimate | None


class Kappas(Record):
    """Agreement with the labels beyond chance, over items and orders."""

    cohen: Estimate | None
    fleiss: Estimate | None


class Measures(Record):
    """All that was measured of one rater on ``items`` items."""

    items: int
    labels: GivenLabels
    agreement: Agreement
    absences: Absences
    position: Position
    length: Length | None
    kappa: Kappas
    calibration: Calibration | None
    coverage: list[CoveragePoint]
    self_consistency: Estimate | None
    usd_per_right_label: Estimate | None


class RaterReport(Record):
    """One judge, aggregator or baseline.

    ``folds``: in how many folds it was fitted, null where it was not. ``saved``: it was learnt before, and
    measured as it is. ``seen``: on how many of the items it had learnt then, counting all with the same
    prompt; null where that is not known. ``problem``: why nothing was measured. ``overall`` and ``by_tag``:
    the measures on all items and on those with each tag.
    """

    name: str
    kind: Literal["judge", "aggregator", "baseline"]
    folds: int | None
    saved: bool
    seen: int | None
    problem: str
    overall: Measures | None
    by_tag: dict[str, Measures]


class Pairwise(Record):
    """Cohen's kappa of two judges."""

    judges: tuple[str, str]
    cohen: Estimate | None


class Jury(Record):
    """Agreement among the judges: Krippendorff's alpha, Fleiss' kappa, and Cohen's of every two."""

    judges: list[str]
    alpha: Estimate | None
    fleiss: Estimate | None
    pairwise: list[Pairwise]


class Contest(Record):
    """Accuracy of ``rater`` minus that of ``other`` on the items both gave a side, and McNemar's exact p."""

    rater: str
    other: str
    difference: Estimate | None
    p_value: float | None


class Report(Record):
    """Everything that ``jurist validate`` measured.

    ``items``, ``labels`` and ``tags`` count the items. ``best_judge`` is the judge with the highest mean over
    the orders. ``contests`` holds every aggregator, and the subject, against it and the longest-response
    baseline.
    """

    items: int
    labels: dict[str, int]
    tags: dict[str, int]
    subject: str
    recommendation: Literal["trust", "warn", "distrust"]
    reason: str
    thresholds: dict[str, float]
    definitions: dict[str, str]
    best_judge: str | None
    raters: list[RaterReport]
    jury: Jury | None
    contests: list[Contest]
    seed: int
