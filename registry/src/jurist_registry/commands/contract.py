"""``jurist contract``: the contract tests on one component."""

from __future__ import annotations

import json

import click

from jurist.errors import UsageError
from jurist_registry.contract_run import run_contract


@click.command()
@click.argument("target", metavar="PACKAGE.MODULE:CLASS")
@click.option("--options", default="{}", metavar="JSON", help="The options to build it with.")
def contract(target: str, options: str) -> None:
    """Run the contract tests on a component."""
    try:
        parsed = json.loads(options)
    except json.JSONDecodeError as error:
        raise UsageError(f"--options {options}: not valid JSON", cause=error) from error
    if not isinstance(parsed, dict):
        raise UsageError(
            f"--options {options}: must be a JSON object", hint='--options \'{"model": "small"}\''
        )
    run_contract(target, parsed)
