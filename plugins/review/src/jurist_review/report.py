"""The report of a run: one HTML file that needs nothing but itself."""

from __future__ import annotations

import base64
import hashlib
from functools import cache
from importlib import resources
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from jurist.files.jsonl import write_lines
from jurist_review import charts, display
from jurist_review.differences import differences
from jurist_review.funnel import funnel
from jurist_review.reading import RunReading, StageReading, read_run
from jurist_review.trajectories import exchanges

_ENDINGS = {
    "done": "done",
    "running": "still running",
    "failed": "failed",
    "budget": "stopped by the budget",
    "gate": "stopped by a quality gate",
    "interrupted": "interrupted",
}


def write_report(folder: Path, output: Path) -> Path:
    """Write the report of the run in ``folder`` to ``output``, whole or not at all.

    Raises:
        UsageError: ``folder`` is not the directory of a run, or ``output`` cannot be written.
    """
    page = render(read_run(folder))
    with write_lines(output) as lines:
        lines.write(page)
    return output


def render(run: RunReading) -> str:
    """The report as HTML."""
    scripts = {"plotly": _plotly(), "drawing": _asset("drawing.js")}
    return (
        _environment()
        .get_template("report.html.j2")
        .render(
            run=run,
            ending=_ENDINGS.get(run.status, run.status),
            usage=_sum(run.totals),
            style=Markup(_asset("report.css")),
            scripts={name: Markup(text) for name, text in scripts.items()},
            script_hashes=" ".join(f"'sha256-{_digest(text)}'" for text in scripts.values()),
        )
    )


def metrics_of(stage: StageReading) -> dict[str, dict[str, Any]]:
    """The estimates of an evaluation by metric, then by policy; what scorers said comes first."""
    found: dict[str, dict[str, Any]] = {}
    for policy, metrics in stage.summary.get("policies", {}).items():
        for metric, estimate in metrics.items():
            found.setdefault(metric, {})[policy] = estimate
    return dict(sorted(found.items(), key=lambda item: "." not in item[0]))


def _sum(totals: Any) -> dict[str, float]:
    names = ("calls", "prompt_tokens", "completion_tokens", "usd", "seconds")
    return {name: sum(total[name] for total in totals.values()) for name in names}


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("jurist_review"),
        autoescape=True,
        finalize=_shown,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "excerpt": display.excerpt,
        "number": display.number,
        "dollars": display.dollars,
        "duration": display.duration,
        "worded": display.worded,
    }
    environment.globals |= {
        "share": display.share,
        "differences": differences,
        "exchanges": exchanges,
        "funnel": funnel,
        "metrics_of": metrics_of,
        "charts": charts,
    }
    return environment


def _shown(value: Any) -> Any:
    """Every value a template shows passes here: what cannot be seen in it is made visible."""
    return display.visible(value) if isinstance(value, str) and not isinstance(value, Markup) else value


@cache
def _plotly() -> str:
    """The source of plotly.js, as it may stand between script tags."""
    source = resources.files("plotly").joinpath("package_data/plotly.min.js").read_text(encoding="utf-8")
    return source.replace("</script", "<\\/script").replace("\r\n", "\n")


def _asset(name: str) -> str:
    return resources.files("jurist_review").joinpath("templates", name).read_text(encoding="utf-8")


def _digest(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode("utf-8")).digest()).decode("ascii")
