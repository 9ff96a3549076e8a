"""A run as it is right now: its stages, how far the one at work is, and what was spent."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from pydantic import ValidationError

from jurist.run_files import RunFiles, StageFolder
from jurist_review.progress_file import PLACE, StageProgress
from jurist_review.samples import shown
from jurist_review.spending import Spending, read_spending

_TAIL = 50_000
"""Bytes at the end of a file in which its last rows are looked for."""

_SAMPLES = 5
"""How many of the newest responses of a policy in training are shown."""

_STEPS = 50
"""Among how many of the newest rows of metrics the newest of each metric is looked for."""

_TELLING = 5
"""Items or steps after which their pace says something of the rest."""


@dataclass(frozen=True)
class StageState:
    """A stage: ``done``, at ``work``, ``waiting``, or ``stopped`` where the run ended in it."""

    name: str
    kind: str
    state: Literal["done", "work", "waiting", "stopped"]
    summary: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class RunState:
    """A run as its files tell it. ``cap``: the most dollars that the recipe lets it spend.

    ``metrics`` and ``samples`` are the newest of a training at work. ``spending`` is None where the
    ledger cannot be read right now.
    """

    name: str
    status: str
    note: str
    stages: list[StageState]
    progress: StageProgress | None
    metrics: Mapping[str, Any]
    samples: list[Mapping[str, Any]]
    spending: Spending | None
    cap: float | None

    @property
    def usd(self) -> float | None:
        """Dollars spent in all; None where that is not known right now."""
        return None if self.spending is None else self.spending.usd

    @property
    def left(self) -> float | None:
        """Seconds until the stage at work is done, if it goes on as in the mean so far; None at its start."""
        progress = self.progress
        if progress is None or not progress.total or progress.done < _TELLING:
            return None
        pace = (progress.updated - progress.started) / progress.done
        return max(0.0, pace * (progress.total - progress.done))

    @property
    def heard(self) -> str:
        """When the run last wrote of its progress: one that was killed says nothing any more."""
        if self.progress is None:
            return ""
        return f"{datetime.fromtimestamp(self.progress.updated, UTC):%Y-%m-%d %H:%M:%S} UTC"

    @property
    def at_work(self) -> StageState | None:
        """The stage at work; where there is none, the last that has come to anything."""
        begun = [stage for stage in self.stages if stage.state != "waiting"]
        return begun[-1] if begun else None


def read_state(folder: Path) -> RunState:
    """A run as it is now.

    Raises:
        UsageError: it is not the folder of a run.
    """
    files = RunFiles.read(folder)
    status = str(files.state.get("status", "unknown"))
    stages = _stages(files.stages(), running=status == "running")
    at_work = next((stage for stage in stages if stage.state == "work"), None)
    progress = _progress(folder) if at_work is not None else None
    if progress is not None and at_work is not None and progress.stage != at_work.name:
        progress = None
    metrics: dict[str, Any] = {}
    samples: list[Mapping[str, Any]] = []
    if at_work is not None and at_work.kind == "train":
        folder_of_it = next(each.folder for each in files.stages() if each.name == at_work.name)
        # Not every step gives all: the reward of a rollout comes with the first step that learns from it.
        for row in reversed(_last_rows(folder_of_it / "metrics.jsonl", _STEPS)):
            metrics |= row
        samples = [shown(row) for row in _last_rows(folder_of_it / "samples.jsonl", _SAMPLES)]
    budget = files.recipe.get("budget") or {}
    return RunState(
        name=str(files.state.get("name", "run")),
        status=status,
        note=str(files.recipe.get("note") or ""),
        stages=stages,
        progress=progress,
        metrics=metrics,
        samples=samples,
        spending=read_spending(folder),
        cap=budget.get("usd") if isinstance(budget, dict) else None,
    )


def _stages(folders: list[StageFolder], *, running: bool) -> list[StageState]:
    """Every stage; the first that is not done is at work, or is where the run stopped."""
    found: list[StageState] = []
    begun = False
    for folder in folders:
        if folder.finished:
            found.append(StageState(folder.name, folder.kind, "done", folder.summary()))
        elif begun:
            found.append(StageState(folder.name, folder.kind, "waiting"))
        else:
            found.append(StageState(folder.name, folder.kind, "work" if running else "stopped"))
            begun = True
    return found


def _progress(folder: Path) -> StageProgress | None:
    """What the run wrote of its progress; one of a run without jurist-review writes none."""
    try:
        return StageProgress.model_validate_json((folder / PLACE).read_bytes())
    except (OSError, ValidationError):
        return None


def _last_rows(path: Path, most: int) -> list[Mapping[str, Any]]:
    """The newest whole rows of a file, the newest first."""
    found: list[Mapping[str, Any]] = []
    try:
        with path.open("rb") as file:
            file.seek(max(0, path.stat().st_size - _TAIL))
            lines = file.read().splitlines(keepends=True)
    except OSError:
        return found
    for line in reversed(lines):
        if len(found) == most:
            break
        try:
            row = json.loads(line) if line.endswith(b"\n") else None
        except ValueError:
            continue
        if isinstance(row, dict):
            found.append(row)
    return found
