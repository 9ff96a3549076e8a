"""Validate: have a plugin measure juries and judges on labelled items, and hold the result against a gate."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from jurist.aggregators.aggregation import Aggregation
from jurist.errors import ContractError, GateStop, UsageError
from jurist.selection import ComponentSource
from jurist.validation.labelled import LabelledItem
from jurist.validation.result import Required, Thresholds, Validation

_LEVELS = ("distrust", "warn", "trust")


def validate(
    items: Sequence[LabelledItem],
    aggregations: Sequence[Aggregation],
    source: ComponentSource,
    *,
    subject: str = "",
    thresholds: Thresholds | None = None,
    seed: int = 0,
) -> Validation:
    """Measure the votes on ``items``, and what ``aggregations`` make of them, against the labels.

    ``subject`` names the aggregation or judge that the recommendation is about, by default the first
    aggregation. One that is to be learnt is never measured on items that it was learnt from.

    Raises:
        UsageError: no plugin measures, the items have no votes, nothing is called ``subject``, or an
            aggregation cannot decide for the judges who voted.
    """
    measure = measurement(source)
    if not any(item.votes for item in items):
        raise UsageError(
            "there are labels but no votes to hold against them",
            hint="have judges asked: jurist validate LABELLED --judges FILE",
        )
    _check_judges(items, aggregations)
    measured = measure(
        items=items,
        aggregators={each.name: each.build for each in aggregations},
        subject=subject or aggregations[0].name,
        thresholds=thresholds or Thresholds(),
        seed=seed,
    )
    if not isinstance(measured, Validation):
        raise ContractError(
            f"the hook jurist_validation returned {type(measured).__name__}, not a Validation",
            hint="jurist plugins doctor",
        )
    return measured


def _check_judges(items: Sequence[LabelledItem], aggregations: Sequence[Aggregation]) -> None:
    """Have every aggregation that is not to be learnt look at who voted."""
    faults = []
    for aggregation in aggregations:
        if aggregation.learner is not None:
            continue  # it will be learnt for whoever voted
        chain = aggregation.build()
        try:
            for versions in _voters(items):
                chain.check_judges(versions)
        except UsageError as error:
            faults.append("\n    ".join(str(error).splitlines()))
    if faults:
        raise UsageError.of_faults("these verdicts cannot be aggregated", faults)


def _voters(items: Sequence[LabelledItem]) -> Iterator[dict[str, str]]:
    """The judges who voted, each with its version; once more for as many versions as one of them has."""
    found: dict[str, dict[str, None]] = {}
    for item in items:
        for vote in item.votes:
            found.setdefault(vote.judge, {})[vote.version] = None
    for number in range(max(map(len, found.values()))):
        yield {judge: list(known)[min(number, len(known) - 1)] for judge, known in found.items()}


def measurement(source: ComponentSource) -> Any:
    """The hook that measures.

    Raises:
        UsageError: no installed plugin implements it.
    """
    hook = getattr(getattr(source, "hooks", None), "jurist_validation", None)
    if hook is None or not hook.get_hookimpls():
        raise UsageError(
            "no installed plugin measures juries against labels",
            hint="pip install jurist-validate; if it is installed: jurist plugins doctor",
        )
    return hook


def hold_against(required: Required, *, recommendation: str, subject: str, reason: str) -> None:
    """Go on only if what was recommended is good enough.

    Raises:
        GateStop: less is recommended than is required.
    """
    if required == "none" or _LEVELS.index(recommendation) >= _LEVELS.index(required):
        return
    raise GateStop(
        f"'{subject}' is not good enough: the recommendation is '{recommendation}', '{required}' is required",
        cause=reason,
        hint="choose other judges or aggregators, or learn a jury from the labels; a lower 'require' "
        "goes on all the same",
    )
