"""Hooks of jurist-review: a report on demand, and one at the end of each run."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING

from jurist.errors import JuristError, UsageError
from jurist.hookspecs import hookimpl

if TYPE_CHECKING:
    from jurist.run_directory import Run

_log = logging.getLogger("jurist_review")


@hookimpl
def jurist_report(runs: list[Path], output: Path) -> Path:
    """Write the report of one run."""
    from jurist_review.report import write_report

    if len(runs) != 1:
        raise UsageError(
            f"a report shows one run, not {len(runs)}; comparing runs is not available yet",
            provided_by="jurist-review",
            hint="jurist report RUN, for each of them",
        )
    return write_report(runs[0], output)


@hookimpl
def jurist_run_finished(run: Run, status: str) -> None:
    """Write ``report.html`` into the run's folder, unless the run ended before anything was done."""
    if status != "done" and not run.stages:
        return
    from jurist_review.report import write_report

    try:
        write_report(run.folder, run.folder / "report.html")
    except Exception as error:  # the run is what was asked for; its report can be made again
        _log.error(
            "The report of the run could not be written; the run itself is not affected.\n"
            "  provided by  jurist-review\n  cause        %s: %s\n  try          jurist report %s",
            type(error).__name__,
            error,
            run.folder,
            exc_info=not isinstance(error, JuristError),
        )
