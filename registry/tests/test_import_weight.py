"""Importing is cheap, whatever is installed: the modules loaded are checked, not the seconds."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

HEAVY = {"torch", "transformers", "trl", "datasets", "litellm", "openai", "anthropic", "numpy"}
COMMAND = """
from jurist_registry.main import main
try:
    main({arguments!r})
except SystemExit as exit_:
    assert exit_.code == 0, exit_.code
"""
PROGRAMS = {
    "import jurist": "import jurist",
    "jurist --help": COMMAND.format(arguments=["--help"]),
    "jurist run --help": COMMAND.format(arguments=["run", "--help"]),
    "jurist plugins": COMMAND.format(arguments=["plugins"]),
}


@pytest.mark.parametrize("program", PROGRAMS)
@pytest.mark.parametrize("broken", [False, True], ids=["as installed", "beside broken plugins"])
def test_nothing_heavy_is_loaded(
    loaded: Callable[..., set[str]], broken_target: Path, program: str, broken: bool
) -> None:
    modules = loaded(PROGRAMS[program], *([broken_target] if broken else []))
    assert "jurist" in modules
    assert modules & HEAVY == set()


def test_help_imports_no_command(loaded: Callable[..., set[str]]) -> None:
    modules = loaded(PROGRAMS["jurist --help"])
    assert not [name for name in modules if name.startswith("jurist_registry.commands.")]
    assert not modules & {"rich", "jurist_registry.registry"}
