"""Pages: self-contained HTML from templates, in which whatever is shown is text."""

from __future__ import annotations

import base64
import gzip
import hashlib
from functools import cache
from importlib import resources
from typing import Any

from jinja2 import Environment
from markupsafe import Markup

from jurist_review import charts, confusion, display
from jurist_review.candidates import scores_of
from jurist_review.environment import environment_of
from jurist_review.funnel import funnel
from jurist_review.trajectories import exchanges

_SCRIPTS = ("drawing.js", "browsing.js")


def render(template: str, **values: Any) -> str:
    """A template of this package as a page, with its style sheet and its scripts inside."""
    scripts = [_asset(name) for name in _SCRIPTS]
    plotly, digest = _plotly()
    return (
        _environment()
        .get_template(template)
        .render(
            **values,
            style=Markup(_asset("report.css")),
            plotly=plotly,
            scripts=[Markup(text) for text in scripts],
            script_hashes=" ".join(f"'sha256-{each}'" for each in (digest, *map(_digest, scripts))),
        )
    )


@cache
def _environment() -> Environment:
    environment = environment_of("jurist_review")
    environment.globals |= {
        "share": display.share,
        "exchanges": exchanges,
        "scores_of": scores_of,
        "funnel": funnel,
        "charts": charts,
        "verdicts": confusion.VERDICTS,
    }
    return environment


@cache
def _plotly() -> tuple[str, str]:
    """The source of plotly.js, compressed as drawing.js unpacks it, and its digest."""
    source = resources.files("plotly").joinpath("package_data/plotly.min.js").read_bytes()
    # Without the time, so that the same run always gives the same page.
    packed = gzip.compress(source, mtime=0)
    return base64.b64encode(packed).decode("ascii"), _digest(source.decode("utf-8"))


def _asset(name: str) -> str:
    return resources.files("jurist_review").joinpath("templates", name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
