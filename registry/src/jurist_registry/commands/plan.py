"""``jurist plan``: what a recipe will call and cost, before the first call."""

from __future__ import annotations

from pathlib import Path

import click

from jurist_registry.commands.execution import no_plugin_option
from jurist_registry.registry import Registry


@click.command()
@click.argument("recipe")
@click.option(
    "--set", "overrides", multiple=True, metavar="A.B=VALUE", help="Change a setting of the recipe."
)
@click.option(
    "--json",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write all of it to this file too.",
)
@no_plugin_option
def plan(recipe: str, overrides: tuple[str, ...], file: Path | None, no_plugin: tuple[str, ...]) -> None:
    """Show what RECIPE will call, how many tokens that takes and what it costs.

    Checks all of the recipe, and calls nothing. Beside it stands what people would cost for the same labels.
    """
    from jurist.files.jsonl import write_json
    from jurist.preflight import plan as plan_of
    from jurist.recipe import Recipe
    from jurist_registry.plan_text import plan_text

    planned = plan_of(Recipe.load(recipe, overrides), Registry.discover(disabled=no_plugin))
    if file is not None:
        write_json(file, planned.model_dump(mode="json"))
    click.echo(plan_text(planned))
