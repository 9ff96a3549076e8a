"""Hooks of jurist-calibrate."""

from __future__ import annotations

from collections.abc import Iterable

from jurist import Component, hookimpl


@hookimpl
def jurist_aggregators() -> Iterable[Component]:
    """The aggregators that are learnt from labelled items."""
    yield Component(
        "calibrated",
        "jurist_calibrate.calibrated:CalibratedJury",
        "A jury learnt from labelled items, with probabilities that mean what they say.",
    )
    yield Component(
        "dawid-skene",
        "jurist_calibrate.dawid_skene:DawidSkene",
        "Dawid-Skene: what each judge says in each order where A, B or neither is better.",
    )
