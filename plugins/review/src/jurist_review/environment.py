"""The environment of templates: everything that they put out is shown as text."""

from __future__ import annotations

from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from jurist_review import display
from jurist_review.differences import differences
from jurist_review.rationales import rationales


def environment_of(package: str) -> Environment:
    """The environment of the templates in a package, with what is shown alike everywhere."""
    environment = Environment(
        loader=PackageLoader(package),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    environment.filters |= {
        "excerpt": display.excerpt,
        "number": display.number,
        "counted": display.counted,
        "percent": display.percent,
        "dollars": display.dollars,
        "duration": display.duration,
        "worded": display.worded,
        "unaltered": escape,  # for values that a form sends back, which must be what they were
    }
    environment.globals |= {"differences": differences, "rationales": rationales}
    return environment


def _shown(value: Any) -> Any:
    """Every value a template shows passes here: what cannot be seen in it is made visible."""
    return display.visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value
