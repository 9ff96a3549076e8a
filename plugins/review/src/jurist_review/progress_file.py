"""How far a run is, kept in a small file for pages that show it while it runs."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from pathlib import Path

from pydantic import Field

from jurist.files.jsonl import unwritable
from jurist.records import Record
from jurist.train_jobs import TrainProgress

_log = logging.getLogger("jurist_review")

PLACE = Path("review") / "progress.json"
"""Where it is kept in the folder of a run."""

_EVERY = 1.0
"""Seconds between two writings."""


class StageProgress(Record):
    """How far a stage is: ``done`` of ``total`` items or steps; times are seconds since 1970."""

    stage: str
    total: int | None
    done: int = 0
    started: float
    updated: float
    outcomes: dict[str, int] = Field(default={})
    metrics: dict[str, float] = Field(default={})
    warning: str | None = None


class ProgressFile:
    """Follows one run at a time; a file that cannot be written is said once, and stops no run."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._path: Path | None = None
        self._stage: StageProgress | None = None

    def run(self, folder: Path | None) -> None:
        """A run in ``folder`` begins; None: it ended."""
        self._write()
        self._stage = None
        self._path = None if folder is None else folder / PLACE

    def stage(self, name: str, total: int | None) -> None:
        """A stage begins."""
        now = self._clock()
        self._stage = StageProgress(stage=name, total=total, started=now, updated=now)
        self._write()

    def outcome(self, outcome: str) -> None:
        """An item is done."""
        if self._stage is not None:
            outcomes = self._stage.outcomes
            outcomes[outcome] = outcomes.get(outcome, 0) + 1
            self._reached({"done": self._stage.done + 1})

    def training(self, progress: TrainProgress) -> None:
        """A trainer took a step."""
        self._reached(
            {
                "done": progress.step,
                "total": progress.total,
                "metrics": progress.metrics,
                "warning": progress.warning or (self._stage.warning if self._stage else None),
            }
        )

    def _reached(self, changes: dict[str, object]) -> None:
        if self._stage is None:
            return
        now = self._clock()
        due = now - self._stage.updated >= _EVERY
        if due:
            changes["updated"] = now
        self._stage = self._stage.model_copy(update=changes)
        if due:
            self._write()

    def _write(self) -> None:
        if self._path is None or self._stage is None:
            return
        draft = self._path.with_name(f"{self._path.name}.part")
        try:
            self._path.parent.mkdir(exist_ok=True)
            draft.write_text(json.dumps(self._stage.model_dump(mode="json")), encoding="utf-8")
            draft.replace(self._path)
        except OSError as error:
            _log.warning("The live view of this run stands still. %s", unwritable(self._path, error))
            self._path = None
