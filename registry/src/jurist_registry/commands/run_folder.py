"""RunFolder: the folder of a run, as an argument of commands."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import click

from jurist.errors import UsageError
from jurist.near_names import nearest
from jurist.run_files import STATE

_SHOWN = 10
"""How many runs a message lists."""


class RunFolder(click.Path):
    """The type of an argument that names the folder of a run; one that is not there gets the near miss."""

    def __init__(self) -> None:
        super().__init__(path_type=Path)

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Any:
        """The path.

        Raises:
            UsageError: there is no such folder. What is in it, the command looks at.
        """
        folder = Path(value)
        if folder.is_dir():
            return folder
        what = "it is a file" if folder.exists() else "there is no such folder"
        raise UsageError(f"{folder} is not the folder of a run: {what}", hint=_hint(folder))


def _hint(folder: Path) -> str:
    """The runs that may be meant: those beside the folder, and those where runs are kept by default."""
    runs = [run for place in dict.fromkeys((folder.parent, Path("runs"))) for run in _runs_in(place)]
    if not runs:
        return "name the folder that 'jurist run' wrote"
    near = nearest(folder.name, {run.name for run in runs})
    if near is not None:
        return f"did you mean '{next(run for run in runs if run.name == near)}'?"
    more = f" … and {len(runs) - _SHOWN} more" if len(runs) > _SHOWN else ""
    return f"name one of these: {', '.join(map(str, runs[:_SHOWN]))}{more}"


def _runs_in(place: Path) -> Iterator[Path]:
    files = sorted((*place.glob(f"*/{STATE}"), *place.glob("*/ledger.sqlite")))
    yield from dict.fromkeys(file.parent for file in files)
