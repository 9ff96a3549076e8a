"""Pages of the app as HTML: everything that comes from a run or a person is shown as text."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment

from jurist.intervals import Estimate
from jurist_review.display import percent
from jurist_review.environment import environment_of

_LONGEST = {False: 20_000, True: 2_000_000}
"""Characters of one text that a page shows, at first and when asked for the whole of it."""


def render(template: str, **values: Any) -> str:
    """A page of the app."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    environment = environment_of("jurist_review.app")
    environment.filters |= {"share": _share}
    environment.globals |= {"longest": _LONGEST}
    return environment


def _share(estimate: Estimate) -> str:
    """A share with its interval, in per cent."""
    low, high = max(0, estimate.low), min(1, estimate.high)
    return f"{percent(estimate.mean)} [{percent(low)}, {percent(high)}]"
