"""Hooks of core itself: the aggregators and the judges of judges that every installation has."""

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
        "weighted",
        "jurist.aggregators.weighted:WeightedMean",
        "The side the judges prefer on average, each judge with a weight of its own.",
    )
    yield Component(
        "constitution-filter",
        "jurist.aggregators.constitution_filter:ConstitutionFilter",
        "The only response that keeps to the hard principles, before any judge is asked.",
    )


@hookimpl
def jurist_judges() -> Iterator[Component]:
    """The judges that ask other judges."""
    yield Component(
        "cascade", "jurist.judges.cascade:Cascade", "A cheap judge first, a strong one when it is unsure."
    )
    yield Component("repeat", "jurist.judges.repeat:Repeat", "The same judge, asked several times.")
    yield Component(
        "route", "jurist.judges.route:Route", "Another judge for each kind of prompt, by its tags."
    )
    yield Component(
        "criteria", "jurist.judges.criteria:Criteria", "The same judge, asked about one criterion at a time."
    )
