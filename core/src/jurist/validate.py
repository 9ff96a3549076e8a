"""Validate: have a plugin measure juries and judges on labelled items, and hold the result against a gate."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from jurist.aggregation import Aggregation
from jurist.assembly import ComponentSource
from jurist.errors import ContractError, GateStop, UsageError
from jurist.labelled import LabelledItem
from jurist.options import near_miss
from jurist.validation import Thresholds, Validation

Required = Literal["trust", "warn", "none"]

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
        UsageError: no plugin measures, the items have no votes, or nothing is called ``subject``.
    """
    measure = measurement(source)
    judges = {vote.judge for item in items for vote in item.votes}
    if not judges:
        raise UsageError(
            "there are labels but no votes to hold against them",
            hint="have judges asked: jurist validate LABELLED --judges FILE",
        )
    subject = subject or aggregations[0].name
    known = {*judges, *(each.name for each in aggregations)}
    if subject not in known:
        raise UsageError(f"nothing that is measured is called '{subject}'{near_miss(subject, known)}")
    measured = measure(
        items=items,
        aggregators={each.name: each.build for each in aggregations},
        subject=subject,
        thresholds=thresholds or Thresholds(),
        seed=seed,
    )
    if not isinstance(measured, Validation):
        raise ContractError(
            f"the hook jurist_validation returned {type(measured).__name__}, not a Validation",
            hint="jurist plugins doctor",
        )
    return measured


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
