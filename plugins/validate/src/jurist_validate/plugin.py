"""Hooks of jurist-validate: the measuring behind ``jurist validate``."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING

from jurist.hookspecs import hookimpl

if TYPE_CHECKING:
    from jurist.contracts import Aggregator
    from jurist.validation.labelled import LabelledItem
    from jurist.validation.result import Thresholds, Validation


@hookimpl
def jurist_validation(
    items: Sequence[LabelledItem],
    aggregators: Mapping[str, Callable[[], Aggregator]],
    subject: str,
    thresholds: Thresholds,
    seed: int,
) -> Validation:
    """Measure judges, aggregators and the longest-response baseline on ``items``."""
    from jurist_validate.validating import validate

    return validate(items, aggregators, subject, thresholds, seed)
