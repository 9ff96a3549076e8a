"""``jurist judge``: label an existing file of comparisons with a jury."""

from __future__ import annotations

from pathlib import Path

import click

from jurist.recipe import Recipe
from jurist_registry.commands.execution import carry_out, no_plugin_option, out_option, spending_options
from jurist_registry.jury_file import one_stage_recipe, placed_in, reference_of, settings_of
from jurist_registry.registry import Registry


@click.command()
@click.argument("pairs", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option(
    "--judges",
    "jury",
    required=True,
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="YAML: a list of judges, or a mapping with 'judges' and other settings of a compare stage.",
)
@click.option(
    "--aggregate",
    multiple=True,
    metavar="NAME",
    help="Aggregators, in the order they are asked; '{use: NAME, OPTION: …}' does too.",
)
@out_option
@spending_options
@no_plugin_option
def judge(
    pairs: Path,
    jury: Path,
    aggregate: tuple[str, ...],
    out: Path | None,
    max_usd: float | None,
    max_tokens: int | None,
    no_plugin: tuple[str, ...],
) -> None:
    """Label PAIRS: JSON lines with prompt, response_a and response_b.

    Writes preferences.jsonl and everything that was said of each pair into the folder --out, by default
    runs/judge-PAIRS.
    """
    with placed_in(jury):
        recipe = recipe_of(pairs, jury, aggregate)
        folder = out or Path("runs", recipe.name)
        done = carry_out(recipe, folder, Registry.discover(disabled=no_plugin), max_usd, max_tokens)
    click.echo(f"preferences: {done.stages[-1].folder / 'preferences.jsonl'}")


def recipe_of(pairs: Path, jury: Path, aggregate: tuple[str, ...] = ()) -> Recipe:
    """The recipe of one stage that has the jury in a file label the pairs in another.

    Raises:
        UsageError: the file of judges is not YAML, or its settings or ``aggregate`` are wrong.
    """
    settings = settings_of(jury)
    if aggregate:
        settings["aggregate"] = [reference_of(text) for text in aggregate]
    stage = {**settings, "stage": "compare", "pairs": str(pairs)}
    return one_stage_recipe(stage, f"judge-{pairs.stem}", subject=str(jury))
