"""Pages as HTML: everything that comes from a run or a person is shown as text."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from jurist_review import display
from jurist_review.differences import differences

_LONGEST = 20_000
"""Characters of one text that a page shows at first."""

_LONGEST_WHOLE = 2_000_000
"""Characters of one text that a page shows when asked for all of it."""


def render(template: str, **values: Any) -> str:
    """A page of the app."""
    return _environment().get_template(template).render(**values)


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("jurist_review.app", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters.update(
        excerpt=lambda text, whole=False: display.excerpt(text, _LONGEST_WHOLE if whole else _LONGEST),
        number=display.number,
        dollars=display.dollars,
        duration=display.duration,
        share=_share,
        worded=display.worded,
        brief=lambda text, longest=200: display.excerpt(text, longest),
    )
    environment.globals.update(differences=differences)
    return environment


def _shown(value: Any) -> Any:
    """Whatever a template puts out: unseen characters are made visible; only templates write markup."""
    return display.visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


def _share(estimate: Any) -> str:
    """A share with its interval, in per cent."""
    return f"{estimate.mean:.1%} [{max(0, estimate.low):.1%}, {min(1, estimate.high):.1%}]"
