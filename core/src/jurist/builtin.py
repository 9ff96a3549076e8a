"""Hooks of core itself: the aggregators that every installation has."""

from __future__ import annotations

from collections.abc import Iterator

from jurist.component import Component
from jurist.hookspecs import hookimpl


@hookimpl
def jurist_aggregators() -> Iterator[Component]:
    """The aggregators that need nothing learnt."""
    yield Component(
        "majority", "jurist.aggregators.majority:MajorityVote", "The side that most judges prefer."
    )
    yield Component(
        "confidence",
        "jurist.aggregators.confidence:ConfidenceThreshold",
        "The side the judges prefer on average, if they are sure enough.",
    )
    yield Component(
        "constitution-filter",
        "jurist.aggregators.constitution_filter:ConstitutionFilter",
        "The only response that keeps to the hard principles, before any judge is asked.",
    )
