"""``jurist report``: a report about runs, written by whichever plugin offers to."""

from __future__ import annotations

from pathlib import Path

import click

from jurist.errors import JuristError, UsageError
from jurist.run_files import STATE
from jurist_registry.commands.execution import no_plugin_option
from jurist_registry.commands.run_folder import RunFolder
from jurist_registry.registry import Registry


@click.command()
@click.argument("runs", nargs=-1, required=True, type=RunFolder())
@click.option("--out", type=click.Path(dir_okay=False, path_type=Path), help="The file to write.")
@no_plugin_option
def report(runs: tuple[Path, ...], out: Path | None, no_plugin: tuple[str, ...]) -> None:
    """Write a report about RUNS (folders of runs).

    By default it is report.html in the folder of the run; of several, comparison.html in that of the first.
    """
    faults = [f"{run} has no {STATE}" for run in runs if not (run / STATE).is_file()]
    if faults:
        raise UsageError.of_faults("not the folder of a run", faults, hint="jurist run RECIPE --out DIR")
    name = "report.html" if len(runs) == 1 else "comparison.html"
    registry = Registry.discover(disabled=no_plugin)
    written = registry.hooks.jurist_report(runs=list(runs), output=out or runs[0] / name)
    if written is None:
        raise unanswered(registry, "no installed plugin writes reports.")
    click.echo(written)


def unanswered(registry: Registry, what: str) -> JuristError:
    """Why no plugin did what jurist-review does: it is broken, or ``what`` where none is installed."""
    broken = (plugin.error for plugin in registry.broken if plugin.project == "jurist-review")
    return next(broken, UsageError(what, hint="pip install jurist-review"))
