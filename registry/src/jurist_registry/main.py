"""The ``jurist`` command: its groups, and the one place where errors become messages and exit codes."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence

import click

from jurist.errors import Interrupted, JuristError, Stopped
from jurist_registry.lazy_group import LazyCommand, LazyGroup

_COMMANDS = "jurist_registry.commands"
_UNREAD = 141
"""The exit code of a command whose output nobody reads on: what a shell gives for SIGPIPE."""


@click.group(
    cls=LazyGroup,
    lazy={
        "run": LazyCommand(f"{_COMMANDS}.run:run", "Run a recipe, or continue it."),
        "plan": LazyCommand(
            f"{_COMMANDS}.plan:plan", "What a recipe will call and cost, before the first call."
        ),
        "judge": LazyCommand(f"{_COMMANDS}.judge:judge", "Label a file of comparisons with a jury."),
        "validate": LazyCommand(
            f"{_COMMANDS}.validate:validate", "Measure judges and juries against people's labels."
        ),
        "spot-check": LazyCommand(
            f"{_COMMANDS}.spot_check:spot_check", "Have people look at some of a run's labels."
        ),
        "review": LazyCommand(
            f"{_COMMANDS}.review:review", "Browse a run, and have people judge blindly what its jury judged."
        ),
        "report": LazyCommand(f"{_COMMANDS}.report:report", "Write a report about one or more runs."),
        "ledger": LazyCommand(
            f"{_COMMANDS}.ledger:ledger", "Look into the ledger of a run, export it, or prune it."
        ),
        "plugins": LazyCommand(
            f"{_COMMANDS}.plugins:plugins", "What is installed, from where, what is broken and why."
        ),
        "contract": LazyCommand(f"{_COMMANDS}.contract:contract", "Run the contract tests on a component."),
        "new": LazyCommand(f"{_COMMANDS}.new:new", "Start a plugin package that passes its own tests."),
    },
    context_settings={"help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="jurist-registry", prog_name="jurist")
def cli() -> None:
    """Train language models on feedback from AI.

    Exit codes: 0 done, 1 a bug (with its traceback), 2 a mistake to correct, 3 stopped by the budget,
    4 stopped by a quality gate, 130 interrupted.
    """


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command and exit; errors raised on purpose are printed as one message."""
    code = _exit_code(sys.argv[1:] if arguments is None else list(arguments))
    others = [thread for thread in threading.enumerate() if not thread.daemon]
    if code == Interrupted.exit_code and len(others) > 1:
        # A batch of a local model runs in a thread that cannot be interrupted; all it owes is on disk.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)
    sys.exit(code)


def _exit_code(arguments: list[str]) -> int:
    stdout = sys.stdout
    try:
        code = cli.main(arguments, prog_name="jurist", standalone_mode=False)
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except SystemExit:
        if sys.stdout is stdout:
            raise
        return _UNREAD  # Click ends so, with another stdout that swallows the rest, where a pipe is closed
    except click.Abort:
        return _interrupted()
    except JuristError as error:
        click.echo(f"error: {error}", err=True)
        if isinstance(error, Stopped) and error.hint is None:
            click.echo("  What was done is kept; run the same command to continue.", err=True)
        return error.exit_code
    return code if isinstance(code, int) else 0


def _interrupted() -> int:
    click.echo("error: interrupted; what was done is kept.", err=True)
    return Interrupted.exit_code
