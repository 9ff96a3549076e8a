"""``jurist plan``: what a recipe will call and cost, before the first call."""

from __future__ import annotations

import asyncio
from pathlib import Path

import click

from jurist_registry.commands.execution import no_plugin_option, out_option, run_folder
from jurist_registry.registry import Registry


@click.command()
@click.argument("recipe")
@click.option(
    "--set", "overrides", multiple=True, metavar="A.B=VALUE", help="Change a setting of the recipe."
)
@out_option
@no_plugin_option
def plan(recipe: str, overrides: tuple[str, ...], out: Path | None, no_plugin: tuple[str, ...]) -> None:
    """Show what RECIPE will call, how many tokens that takes and what it costs.

    Checks all of the recipe, and calls nothing. Beside it stands what people would cost for the same labels.
    The numbers are kept as plan.json in the folder --out, by default runs/NAME as of jurist run: the
    report of the run holds what it came to against them. A run of other settings keeps its own.
    Where jurist run would not begin, this ends with its error and code 2.
    """
    from jurist.files.jsonl import write_json
    from jurist.planning.planner import make_plan
    from jurist.preflight import check, check_start
    from jurist.prompt_fit import check_prompt_fit
    from jurist.recipe import Recipe
    from jurist.records import content_id
    from jurist.run_directory import make_directory
    from jurist.run_files import RECIPE, RunFiles
    from jurist_registry.plan_text import plan_text

    loaded, registry = Recipe.load(recipe, overrides), Registry.discover(disabled=no_plugin)
    checked = check(loaded, registry)
    planned = asyncio.run(make_plan(checked, registry))
    click.echo(plan_text(planned))
    folder = run_folder(loaded, recipe, out)
    if (folder / RECIPE).exists() and content_id(RunFiles.read(folder).recipe) != planned.settings:
        click.echo(f"\nnot kept: {folder} is a run of other settings", err=True)
    else:
        make_directory(folder)
        write_json(folder / "plan.json", planned.model_dump(mode="json"))
        click.echo(f"\nkept: {folder / 'plan.json'}", err=True)
    asyncio.run(check_start(checked, registry, folder, loaded.budget.usd))
    asyncio.run(check_prompt_fit(checked, registry))
