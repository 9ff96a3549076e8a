"""Labelling costs: what the labels of a run would cost if people gave them, or checked them."""

from __future__ import annotations

from typing import Literal

from jurist.planning.bounds import Bounds
from jurist.recipe import Human
from jurist.records import Record


class Scenario(Record):
    """A way to get the labels: the hours of people that it takes, and what all of it costs."""

    name: Literal["people", "ai", "ai and people"]
    hours: float
    usd: Bounds


class Labelling(Record):
    """The ways to get the labels of ``comparisons``: people give all, AI gives all, or people check some.

    Only labels count: what the compared responses cost is the same either way. ``checked`` is the share
    that people check; ``unpriced`` names the components whose part of the AI's labels has no known price.
    """

    comparisons: int
    checked: float
    scenarios: tuple[Scenario, ...]
    unpriced: tuple[str, ...] = ()

    @classmethod
    def of(cls, comparisons: int, ai: Bounds, human: Human, unpriced: tuple[str, ...] = ()) -> Labelling:
        """Set the labels of an AI, at the price ``ai``, beside those of people."""
        hours = comparisons * human.minutes_per_item / 60
        people = Bounds.of(hours * human.usd_per_hour)
        checked = human.check
        scenarios = (
            Scenario(name="people", hours=hours, usd=people),
            Scenario(name="ai", hours=0.0, usd=ai),
            Scenario(name="ai and people", hours=hours * checked, usd=ai + people * checked),
        )
        return cls(comparisons=comparisons, checked=checked, scenarios=scenarios, unpriced=unpriced)
