"""The files of a run that can be browsed, finished or still being written."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from jurist.run_files import RunFiles

Kind = Literal["trajectory", "comparison", "label"]

_FILES: dict[str, Kind] = {
    "trajectories.jsonl": "trajectory",
    "judgments.jsonl": "comparison",
    "preferences.jsonl": "label",
}
assert set(_FILES.values()) == set(get_args(Kind))


@dataclass(frozen=True)
class Source:
    """A file of rows: of which stage, and what a row is. ``whole``: nothing more is written to it."""

    stage: str
    kind: Kind
    path: Path
    whole: bool


def sources_of(run: Path) -> list[Source]:
    """The files with rows, in the order of the stages; labels only of finished stages.

    Raises:
        UsageError: it is not the folder of a run.
    """
    return [
        Source(stage.name, kind, path, whole=stage.finished)
        for stage in RunFiles.read(run).stages()
        for name, kind in _FILES.items()
        if (path := stage.file(name)) is not None and (stage.finished or kind != "label")
    ]
