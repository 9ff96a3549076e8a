"""``jurist review``: a page on which people look at a run, served by whichever plugin offers to."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import click

from jurist.errors import UsageError
from jurist_registry.commands.execution import no_plugin_option
from jurist_registry.commands.report import unanswered
from jurist_registry.commands.run_folder import RunFolder
from jurist_registry.registry import Registry

Direction = Literal["export", "to-argilla", "from-argilla"]

_folder = click.Path(file_okay=False, path_type=Path)


@click.command()
@click.argument("run", type=RunFolder())
@click.option("--stage", default="", metavar="NAME", help="The stage whose labels are judged, if several.")
@click.option("--reviewer", default="", metavar="NAME", help="Who votes; by default the user.")
@click.option(
    "--size", type=click.IntRange(min=1), help="How many to draw: at first 100, then as many as before."
)
@click.option("--seed", type=int, default=0, help="Another seed draws others; default 0.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="By default any free one.")
@click.option("--host", default="127.0.0.1", help="By default 127.0.0.1: this computer alone.")
@click.option("--no-open", is_flag=True, help="Do not open the page in a browser.")
@click.option(
    "--export", type=click.Path(dir_okay=False, path_type=Path), help="Write the labels to a file instead."
)
@click.option("--to-argilla", type=_folder, help="Write the sample as a dataset of Argilla instead.")
@click.option("--from-argilla", type=_folder, help="Read votes from such a dataset instead.")
@no_plugin_option
def review(
    run: Path,
    stage: str,
    size: int | None,
    seed: int,
    export: Path | None,
    to_argilla: Path | None,
    from_argilla: Path | None,
    no_open: bool,
    no_plugin: tuple[str, ...],
    **served: Any,
) -> None:
    """Serve a page to browse RUN, to follow it while it runs, and to judge blindly what its jury judged.

    RUN is the folder of a run. Prints the address of the page, with a token that lets in. Votes are kept in
    review/ in RUN; Ctrl-C ends the server.
    """
    asked: dict[Direction, Path | None] = {
        "export": export,
        "to-argilla": to_argilla,
        "from-argilla": from_argilla,
    }
    given = {direction: path for direction, path in asked.items() if path is not None}
    if len(given) > 1:
        raise UsageError(f"one of --{' and --'.join(given)} at a time")
    registry = Registry.discover(disabled=no_plugin)
    sample = {"run": run, "stage": stage, "size": size, "seed": seed}
    if given:
        ((direction, path),) = given.items()
        said = registry.hooks.jurist_review_exchange(**sample, direction=direction, path=path)
    else:
        said = registry.hooks.jurist_review(**sample, open_page=not no_open, **served)
    if said is None:
        raise unanswered(registry, "no installed plugin serves a review page.")
    click.echo(said)
