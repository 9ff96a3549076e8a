"""Displays of progress: bars on a terminal, plain lines in a log."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TextIO

from jurist_registry.progress import Display, StageProgress

if TYPE_CHECKING:
    from rich.progress import Progress as Bars
    from rich.progress import TaskID


class LineDisplay:
    """Plain lines: when a stage begins and ends, and in between every ``interval`` seconds."""

    def __init__(
        self, stream: TextIO, interval: float = 10.0, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._stream = stream
        self._interval = interval
        self._clock = clock
        self._written = clock()

    def note(self, text: str) -> None:
        """Write a line."""
        self._stream.write(f"{text}\n")
        self._stream.flush()
        self._written = self._clock()

    def begin(self, stage: StageProgress) -> None:
        """Write that the stage begins."""
        self.note(f"{stage.name}: begins" + (f", {stage.total:,} items" if stage.total is not None else ""))

    def update(self, stage: StageProgress, now: float) -> None:
        """Write how far it is, if the last line is old enough."""
        if now - self._written >= self._interval:
            self.note(f"{stage.name}: {stage.text(now)}")

    def end(self, stage: StageProgress, now: float) -> None:
        """Write how far it came."""
        whole = stage.total is None or stage.done >= stage.total
        self.note(f"{stage.name}: {'ends' if whole else 'stops'}; {stage.text(now)}")


class BarDisplay:
    """One live bar for the current stage, with its rate, time to go, outcomes and spend; ended ones stay."""

    def __init__(self, stream: TextIO) -> None:
        from rich.console import Console

        self._console = Console(file=stream)
        self._bars: Bars | None = None
        self._task: TaskID | None = None

    def note(self, text: str) -> None:
        """Print a line above the bar."""
        self._console.print(text, markup=False, highlight=False)

    def begin(self, stage: StageProgress) -> None:
        """Start a bar."""
        from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn

        plain = [TextColumn(f"{{task.fields[{name}]}}", markup=False) for name in ("position", "details")]
        columns = (SpinnerColumn(), TextColumn("{task.description}", markup=False), BarColumn(24), *plain)
        self._bars = Progress(*columns, console=self._console)
        self._bars.start()
        self._task = self._bars.add_task(stage.name, total=stage.total, position="", details="")

    def update(self, stage: StageProgress, now: float) -> None:
        """Move the bar."""
        if self._bars is None or self._task is None:
            return
        details = "; ".join(part for part in (stage.pace(now), stage.findings(), stage.cost()) if part)
        position = stage.position()
        total = stage.total if stage.total is None else max(stage.total, stage.done)
        self._bars.update(self._task, completed=stage.done, total=total, position=position, details=details)

    def end(self, stage: StageProgress, now: float) -> None:
        """Leave the bar as it is and let the terminal go."""
        self.update(stage, now)
        if self._bars is not None:
            self._bars.stop()
        self._bars = self._task = None


def display_on(stream: TextIO) -> Display:
    """Bars if ``stream`` is a terminal, else plain lines."""
    return BarDisplay(stream) if stream.isatty() else LineDisplay(stream)
