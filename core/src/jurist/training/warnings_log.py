"""What a trainer warned of, one JSON line each."""

from __future__ import annotations

from pathlib import Path

from jurist.files.jsonl import append_line
from jurist.train_jobs import TrainProgress
from jurist.training.metrics_log import keep_lines, lines_up_to


class WarningsLog:
    """Appends to ``warnings.jsonl``; what a stopped training goes through again, it warns of again."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._begun = False

    def add(self, update: TrainProgress) -> None:
        """Take in any progress; the first says from which step on earlier warnings are to be forgotten."""
        if not self._begun and self._path.is_file():
            keep_lines(self._path, lines_up_to(self._path, update.step - 1))
        self._begun = True
        if update.warning is not None:
            append_line(self._path, update.model_dump_json(include={"step", "warning"}))
