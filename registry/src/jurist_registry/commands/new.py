"""``jurist new``: start something of one's own."""

from __future__ import annotations

from pathlib import Path

import click

from jurist.contracts import CONTRACTS
from jurist_registry.scaffold import write_plugin


@click.group()
def new() -> None:
    """Start a plugin package that passes its own tests."""


@new.command()
@click.argument("name")
@click.option("--kind", type=click.Choice(list(CONTRACTS)), default="judge", show_default=True)
@click.option(
    "--out", type=click.Path(file_okay=False, path_type=Path), default=Path(), help="The folder to put it in."
)
def plugin(name: str, kind: str, out: Path) -> None:
    """Write a package jurist-NAME that offers one component."""
    folder = write_plugin(name, kind, out)
    click.echo(f"{folder} is written. Next:\n  cd {folder}\n  pip install -e '.[test]'\n  pytest")
