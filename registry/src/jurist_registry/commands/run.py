"""``jurist run``: carry out a recipe, or continue it."""

from __future__ import annotations

from pathlib import Path

import click

from jurist.recipe import Recipe
from jurist_registry.commands.execution import (
    carry_out,
    no_plugin_option,
    out_option,
    run_folder,
    spending_options,
)
from jurist_registry.registry import Registry


@click.command()
@click.argument("recipe")
@click.option(
    "--set", "overrides", multiple=True, metavar="A.B=VALUE", help="Change a setting of the recipe."
)
@out_option
@spending_options
@no_plugin_option
def run(
    recipe: str,
    overrides: tuple[str, ...],
    out: Path | None,
    max_usd: float | None,
    max_tokens: int | None,
    no_plugin: tuple[str, ...],
) -> None:
    """Run RECIPE (a YAML file), or continue it where it stopped.

    The run is kept in the folder --out, by default runs/NAME. Running the same command again replays
    what was answered before and goes on.
    """
    loaded = Recipe.load(recipe, overrides)
    folder = run_folder(loaded, recipe, out)
    carry_out(loaded, folder, Registry.discover(disabled=no_plugin), max_usd, max_tokens)
    report = folder / "report.html"
    click.echo(f"report: {report}" if report.exists() else f"next: jurist report {folder}")
