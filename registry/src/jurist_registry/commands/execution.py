"""What the commands that spend have in common: their options, progress, and the closing lines."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, TypeVar

import click

from jurist.records import Usage
from jurist_registry.display import display_on
from jurist_registry.progress import Progress, cost_text, metrics_text, outcomes_text
from jurist_registry.registry import Registry

if TYPE_CHECKING:
    from jurist.recipe import Recipe
    from jurist.run_directory import Run

_PRODUCTS = ("preferences", "revisions")
"""What a stage is there for, so that none of it is told as well."""

_COUNTS = MappingProxyType(
    {
        **dict.fromkeys(_PRODUCTS),
        **dict.fromkeys(("prompts", "items", "comparisons")),
        "cycles": "cyclic triads",
        "without_score": "without a score",
        "given_up": "calls given up",
    }
)
"""The counts of a summary that are told, with other words for some."""

Command = TypeVar("Command", bound=Callable[..., Any])

out_option = click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), help="The folder of the run."
)
no_plugin_option = click.option(
    "--no-plugin", multiple=True, metavar="NAME", help="Leave an installed plugin out."
)


def spending_options(command: Command) -> Command:
    """Add ``--max-usd`` and ``--max-tokens``."""
    positive = click.FloatRange(min=0, min_open=True)
    command = click.option(
        "--max-tokens", type=click.IntRange(min=1), help="Stop before more tokens than this."
    )(command)
    return click.option("--max-usd", type=positive, help="Stop before spending more than this.")(command)


def run_folder(recipe: Recipe, given: str, out: Path | None) -> Path:
    """Where the run of a recipe is kept that was given as a path or as a file in a package."""
    name = recipe.name if "name" in recipe.model_fields_set else Path(given).stem
    return out or Path("runs", name)


def carry_out(
    recipe: Recipe, folder: Path, registry: Registry, max_usd: float | None, max_tokens: int | None
) -> Run:
    """Run ``recipe`` in ``folder`` with progress on stderr; prints what each stage made and the cost."""
    from jurist.run import run

    with Progress(display_on(sys.stderr)) as progress:
        registry.register(progress, "progress")
        done = run(recipe, folder, registry, max_usd=max_usd, max_tokens=max_tokens)
    for stage in done.stages:
        click.echo(f"{stage.name}: {made_text(stage.summary) or 'done'}; in {stage.folder}")
        if "recommendation" in stage.summary:
            click.echo(f"  {stage.summary['recommendation']}: {stage.summary['reason']}")
        for policy, metrics in stage.summary.get("policies", {}).items():
            click.echo(f"  {policy}: {', '.join(_measured(*item) for item in metrics.items())}")
    usages = [
        Usage.model_validate({k: v for k, v in t.items() if k != "calls"}) for t in done.totals.values()
    ]
    calls = sum(total["calls"] for total in done.totals.values())
    cost = cost_text(sum(usages, Usage()), calls)
    click.echo(f"in all: {cost or 'no paid calls'}")
    return done


def made_text(summary: dict[str, Any]) -> str:
    """The counts of a stage's summary and the metrics of training."""
    counted = [
        f"{summary[name]:,} {words or name}"
        for name, words in _COUNTS.items()
        if summary.get(name) or (name in _PRODUCTS and name in summary)
    ]
    outcomes = {**summary.get("decisions", {}), **summary.get("ended", {})}
    outcomes.pop("preferred", None)  # they are the preferences
    told = (*counted, outcomes_text(outcomes), metrics_text(summary.get("metrics", {})))
    return ", ".join(part for part in told if part)


def _measured(name: str, estimate: dict[str, float]) -> str:
    return f"{name} {estimate['mean']:.3g} [{estimate['low']:.3g}, {estimate['high']:.3g}]"
