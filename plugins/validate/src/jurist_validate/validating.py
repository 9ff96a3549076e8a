"""Validating: judges, aggregators and the baseline measured on labelled items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

from jurist.contracts import Aggregator
from jurist.errors import UsageError
from jurist.near_names import near_miss
from jurist.validation.labelled import LabelledItem
from jurist.validation.result import Thresholds, Validation
from jurist_validate.agreement import DEFINITIONS, mean_of_orders
from jurist_validate.baseline import longest_response
from jurist_validate.contest import contest
from jurist_validate.judges import judge_raters
from jurist_validate.juries import jury_rater
from jurist_validate.jury import jury
from jurist_validate.measures import measured
from jurist_validate.rater import Rater
from jurist_validate.recommendation import Recommendation, recommend
from jurist_validate.report import Contest, RaterReport, Report
from jurist_validate.text import text_of

TAGS = 20
"""How many tags are measured by themselves, the most frequent ones; the others are counted."""


@dataclass(frozen=True)
class _Field:
    """Everybody who is measured, and the one that the recommendation is about."""

    judges: Sequence[Rater]
    juries: Sequence[Rater]
    baselines: Sequence[Rater]
    subject: Rater
    best: Rater | None

    @property
    def raters(self) -> list[Rater]:
        return [*self.judges, *self.juries, *self.baselines]

    @cached_property
    def contests(self) -> list[Contest]:
        """The subject and every aggregator against the best judge and the baseline."""
        others = [*([self.best] if self.best else []), *self.baselines]
        each = dict.fromkeys([self.subject, *self.juries])
        return [contest(rater, other) for rater in each for other in others if rater is not other]


def validate(
    items: Sequence[LabelledItem],
    aggregators: Mapping[str, Callable[[], Aggregator]],
    subject: str,
    thresholds: Thresholds,
    seed: int,
) -> Validation:
    """Measure every judge that voted, every aggregator and the longest-response baseline.

    ``subject`` names whom the recommendation is about; where a judge and an aggregator share a name, it
    means the aggregator. The same seed gives the same report.

    Raises:
        UsageError: there are no items, or nobody is called ``subject``.
    """
    if not items:
        raise UsageError("there are no labelled items to measure on", provided_by="jurist-validate")
    seed %= 2**32  # what numpy and scikit-learn take
    field = _field(items, aggregators, subject, seed)
    shown = [tag for tag, _ in _tags(items).most_common(TAGS)]
    reports = {rater: measured(rater, shown, seed) for rater in field.raters}
    overall = reports[field.subject].overall
    ours = [each for each in field.contests if each.rater == subject]
    found = recommend(field.subject, overall.labels if overall else None, ours, thresholds)
    report = _report(items, field, list(reports.values()), found, thresholds, seed)
    return Validation(
        recommendation=found.word,
        reason=found.reason,
        subject=subject,
        accuracy=found.accuracy,
        text=text_of(report),
        report=report.model_dump(mode="json"),
    )


def best_judge(judges: Sequence[Rater], items: int) -> Rater | None:
    """The judge with the highest mean over the orders; an item that it was not asked about is not right."""
    return max(judges, key=lambda judge: sum(mean_of_orders(judge.readings)) / items, default=None)


def _field(
    items: Sequence[LabelledItem],
    aggregators: Mapping[str, Callable[[], Aggregator]],
    subject: str,
    seed: int,
) -> _Field:
    judges = judge_raters(items)
    juries = [jury_rater(name, make, items, seed) for name, make in aggregators.items()]
    longest = longest_response(items)
    baselines = [longest] if longest else []
    called = {rater.name: rater for rater in (*baselines, *judges, *juries)}
    if subject not in called:
        raise UsageError(
            f"there is no judge or aggregator '{subject}' to validate{near_miss(subject, called)}",
            provided_by="jurist-validate",
        )
    return _Field(judges, juries, baselines, called[subject], best_judge(judges, len(items)))


def _report(
    items: Sequence[LabelledItem],
    field: _Field,
    raters: list[RaterReport],
    found: Recommendation,
    thresholds: Thresholds,
    seed: int,
) -> Report:
    return Report(
        items=len(items),
        labels={label: sum(item.label == label for item in items) for label in ("A", "B", "tie")},
        tags=dict(_tags(items)),
        subject=field.subject.name,
        recommendation=found.word,
        reason=found.reason,
        thresholds=thresholds.model_dump(),
        definitions=DEFINITIONS,
        best_judge=field.best.name if field.best else None,
        raters=raters,
        jury=jury(field.judges, seed),
        contests=field.contests,
        seed=seed,
    )


def _tags(items: Sequence[LabelledItem]) -> Counter[str]:
    return Counter(tag for item in items for tag in item.tags)
