"""The plan of a run, held against what became of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from jurist.planning.bounds import Bounds
from jurist.planning.plan import Plan, Total

QUANTITIES = ("prompt_tokens", "completion_tokens", "usd", "seconds")


@dataclass(frozen=True)
class Planned:
    """What was planned of one quantity, and what it came to.

    ``complete``: every component that it depends on was counted.
    """

    bounds: Bounds
    actual: float
    complete: bool = True

    @property
    def verdict(self) -> Literal["as planned", "less", "more"]:
        """How it came; more of what was not all counted is as planned."""
        # A plan's numbers are sums of rounded ones.
        if self.actual < self.bounds.low * (1 - 1e-9):
            return "less"
        return "more" if self.complete and self.actual > self.bounds.high * (1 + 1e-9) else "as planned"


def of_stage(plan: Plan, stage: str, actual: Mapping[str, Any]) -> dict[str, Planned]:
    """The quantities of one stage that a plan knows of; ``actual`` is its ``summary.json``."""
    for each in plan.stages:
        if each.stage == stage and each.components:
            total = Total.of(each.components, each.seconds)
            return _held(total, {**actual.get("usage", {}), "seconds": actual.get("seconds")})
    return {}


def of_run(plan: Plan, totals: Mapping[str, float], seconds: float) -> dict[str, Planned]:
    """The same of all stages; ``seconds`` is what they took."""
    return _held(plan.total, {**totals, "seconds": seconds})


def _held(total: Total, actual: Mapping[str, Any]) -> dict[str, Planned]:
    bounds = (total.prompt_tokens, total.completion_tokens, total.cost.usd, total.seconds)
    missing = (total.uncounted, total.uncounted, total.unpriced, total.untimed)
    return {
        name: Planned(bounds[n], float(actual[name]), not missing[n])
        for n, name in enumerate(QUANTITIES)
        if actual.get(name) is not None and not (missing[n] and bounds[n].high == 0)
    }
