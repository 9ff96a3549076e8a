"""``jurist plan``: what a recipe will call, before the first call."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from jurist_registry.commands.execution import no_plugin_option
from jurist_registry.registry import Registry

if TYPE_CHECKING:
    from jurist.plan import StagePlan


@click.command()
@click.argument("recipe")
@click.option(
    "--set", "overrides", multiple=True, metavar="A.B=VALUE", help="Change a setting of the recipe."
)
@no_plugin_option
def plan(recipe: str, overrides: tuple[str, ...], no_plugin: tuple[str, ...]) -> None:
    """Show the calls and tokens of every stage of RECIPE; checks all of it and calls nothing."""
    from jurist.preflight import plan as plan_of
    from jurist.recipe import Recipe

    planned = plan_of(Recipe.load(recipe, overrides), Registry.discover(disabled=no_plugin))
    for stage in planned.stages:
        click.echo(_stage_text(stage))
    click.echo(f"in all: {_bounds(planned.calls)} calls; tokens are estimates, repeated calls come on top")


def _stage_text(stage: StagePlan) -> str:
    lines = [f"{stage.stage}: {stage.prompts:,} prompts" if stage.prompts else f"{stage.stage}:"]
    lines += [
        f"  {_bounds((call.least, call.most))} calls of {call.role}" for call in stage.calls if call.most
    ]
    if any(stage.tokens):
        lines.append(f"  about {_bounds(stage.tokens)} tokens")
    return "\n".join([*lines, *([f"  {stage.note}"] if stage.note else [])])


def _bounds(bounds: tuple[int, int]) -> str:
    least, most = bounds
    return f"{most:,}" if least == most else f"{least:,} to {most:,}"
