"""The report of a run: one HTML file that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jurist.files.jsonl import write_lines
from jurist_review import planned
from jurist_review.display import ENDINGS
from jurist_review.page import render
from jurist_review.planned import Planned
from jurist_review.reading import RunReading, StageReading, read_run


def write_report(folder: Path, output: Path) -> Path:
    """Write the report of the run in ``folder`` to ``output``, whole or not at all.

    Raises:
        UsageError: ``folder`` is not the directory of a run, or ``output`` cannot be written.
    """
    page = _page(read_run(folder))
    with write_lines(output) as lines:
        lines.write(page)
    return output


def metrics_of(stage: StageReading) -> dict[str, dict[str, Any]]:
    """The estimates of an evaluation by metric, then by policy; what scorers said comes first."""
    found: dict[str, dict[str, Any]] = {}
    for policy, metrics in stage.summary.get("policies", {}).items():
        for metric, estimate in metrics.items():
            found.setdefault(metric, {})[policy] = estimate
    return dict(sorted(found.items(), key=lambda item: "." not in item[0]))


def usage_of(run: RunReading) -> dict[str, float]:
    """What all calls of a run came to."""
    names = ("calls", "prompt_tokens", "completion_tokens", "usd", "seconds")
    return {name: sum(total[name] for total in run.totals.values()) for name in names}


def seconds_of(run: RunReading) -> float:
    """How long the finished stages took, one after the other."""
    return float(sum(stage.summary.get("seconds", 0) for stage in run.stages))


def _page(run: RunReading) -> str:
    return render(
        "report.html.j2",
        run=run,
        ending=ENDINGS.get(run.status, run.status),
        usage=usage_of(run),
        seconds=seconds_of(run),
        planned=_planned(run),
        metrics_of=metrics_of,
    )


def _planned(run: RunReading) -> Mapping[str, Mapping[str, Planned]]:
    """What was planned, by stage; under '' of all stages, once they are all done."""
    if run.plan is None:
        return {}
    finished = [stage for stage in run.stages if stage.finished]
    found = {stage.name: planned.of_stage(run.plan, stage.name, stage.summary) for stage in finished}
    if len(finished) == len(run.stages):
        found[""] = planned.of_run(run.plan, usage_of(run), seconds_of(run))
    return found
