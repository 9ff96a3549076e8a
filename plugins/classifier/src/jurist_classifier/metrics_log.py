"""The metrics of a training, one JSON line per optimizer step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path


class MetricsLog:
    """Appends to ``metrics.jsonl``; a resumed training goes on after the step it resumes from."""

    def __init__(self, path: Path, resumed_step: int) -> None:
        self._path = path
        kept = _lines_up_to(path, resumed_step) if path.is_file() else []
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(kept), encoding="utf-8")

    def append(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write the metrics of one step."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **metrics}) + "\n")


def _lines_up_to(path: Path, step: int) -> list[str]:
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    whole = [line for line in lines if line.endswith("\n")]
    return [line for line in whole if json.loads(line)["step"] <= step]
