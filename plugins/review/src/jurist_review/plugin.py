"""Hooks of jurist-review: reports, the review app, and what its live view shows of a run."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from jurist.errors import JuristError
from jurist.hookspecs import hookimpl
from jurist_review.progress_file import ProgressFile

if TYPE_CHECKING:
    from jurist.run_directory import Run
    from jurist.train_jobs import TrainProgress

_log = logging.getLogger("jurist_review")
_progress = ProgressFile()


@hookimpl
def jurist_report(runs: list[Path], output: Path) -> Path:
    """Write the report of one run, or of several beside each other."""
    if len(runs) > 1:
        from jurist_review.comparing import write_comparison

        return write_comparison(runs, output)
    from jurist_review.report import write_report

    return write_report(runs[0], output)


@hookimpl
def jurist_review(
    run: Path,
    stage: str,
    reviewer: str,
    size: int | None,
    seed: int,
    host: str,
    port: int,
    open_page: bool,
) -> str:
    """Serve the review app until it is interrupted."""
    from jurist_review.app.server import Settings, serve

    return serve(Settings(run, stage, reviewer, size, seed, host, port, open_page))


@hookimpl
def jurist_review_exchange(
    run: Path,
    stage: str,
    size: int | None,
    seed: int,
    direction: Literal["export", "to-argilla", "from-argilla"],
    path: Path,
) -> str:
    """Write what reviewers found to files, or read it from them."""
    from jurist_review.app.desk import Sampling
    from jurist_review.app.exchange import exchange

    return exchange(run, Sampling(stage, size, seed), direction, path)


@hookimpl
def jurist_run_started(run: Run) -> None:
    """Follow the run for the live view."""
    _progress.run(run.folder)


@hookimpl
def jurist_stage_started(stage: str, total: int | None) -> None:
    """Note which stage is at work."""
    _progress.stage(stage, total)


@hookimpl
def jurist_outcome(outcome: str) -> None:
    """Count an item."""
    _progress.outcome(outcome)


@hookimpl
def jurist_training_progress(progress: TrainProgress) -> None:
    """Note a step of a trainer."""
    _progress.training(progress)


@hookimpl
def jurist_run_finished(run: Run, status: str) -> None:
    """Write ``report.html`` into the run's folder, unless the run ended before anything was done."""
    _progress.run(None)
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
