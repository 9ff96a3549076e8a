"""The metrics of a training, one JSON line per optimizer step."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path

from jurist.files.jsonl import write_lines


class MetricsLog:
    """Appends to ``metrics.jsonl``; a resumed training goes on after the step it resumes from.

    ``newest`` holds the newest value of each metric; after a measurement of held-out prompts that gave
    nothing, there is no ``held_out_metric`` any more. Of several processes only one ``writes``.
    """

    def __init__(self, path: Path, resumed_step: int, *, writes: bool = True) -> None:
        kept = lines_up_to(path, resumed_step) if resumed_step and path.is_file() else []
        self.path, self.writes = path, writes
        if writes:
            path.parent.mkdir(parents=True, exist_ok=True)
            keep_lines(path, kept)
        self.newest: dict[str, float] = {}
        for line in kept:
            self._remember(json.loads(line))
        self.newest.pop("step", None)

    def append(self, step: int, metrics: Mapping[str, float]) -> None:
        """Write the metrics of one step."""
        self._remember(metrics)
        if self.writes:
            with self.path.open("a", encoding="utf-8") as file:
                file.write(json.dumps({"step": step, **metrics}) + "\n")

    def _remember(self, metrics: Mapping[str, float]) -> None:
        if "held_out_missing" in metrics:
            self.newest.pop("held_out_metric", None)
        self.newest |= metrics


def lines_up_to(path: Path, step: int) -> list[str]:
    """The whole JSON lines of a file, each of a ``step``, up to an optimizer step.

    A crash may have cut the last one short, even within a character; texts in them may hold what
    ``splitlines`` takes for the end of a line.
    """
    with path.open("rb") as file:
        whole = [line.decode() for line in file if line.endswith(b"\n")]
    return [line for line in whole if json.loads(line)["step"] <= step]


def keep_lines(path: Path, lines: Iterable[str]) -> None:
    """Have a file hold these lines and no others; a crash meanwhile leaves it as it was."""
    with write_lines(path) as writer:
        for line in lines:
            writer.write(line.removesuffix("\n"))
