"""Everything that the pages of one run share, and the thread that keeps up with the run's files."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from pathlib import Path

from jurist.errors import UsageError
from jurist.near_names import near_miss
from jurist.run_files import RunFiles, StageFolder
from jurist_review.app.index import Index, Reading
from jurist_review.app.indexed_rows import Rows
from jurist_review.app.listing import EVERYTHING, NOTHING, Hidden, Listing
from jurist_review.app.queue import Queue
from jurist_review.app.votes import Votes

_log = logging.getLogger("jurist_review")

_EVERY = 1.0
"""Seconds between two looks at the run's files."""


@dataclass(frozen=True)
class Sampling:
    """Which stage is looked at (empty: the only one that labels), how many comparisons are drawn, and how.

    ``size`` None: a hundred, or as many as were drawn before.
    """

    stage: str = ""
    size: int | None = None
    seed: int = 0


class Desk:
    """The index, the votes and the queue of the run in ``folder``.

    Raises:
        UsageError: it is not the folder of a run, ``stage`` is none that can be reviewed, or several can.
    """

    def __init__(self, folder: Path, sampling: Sampling) -> None:
        self.folder = folder
        self.sampling = sampling
        self.trouble = ""
        """What keeps the queue or the index from being made, for people."""
        self._drawn = ""
        self._there = 0  # how many comparisons of the sample the stage had when it was drawn
        self.stage()
        self.index = Index(folder)
        self.votes = Votes(folder)
        self.rows = Rows(self.index)
        self.listing = Listing(self.index)
        self._ended = threading.Event()

    def stage(self) -> str | None:
        """The stage whose labels people look at; None while no stage has given any.

        Once its sample is drawn it stays so, whatever other stages come to label.

        Raises:
            UsageError: the one that was asked for is not there, or several could be meant.
        """
        stages = RunFiles.read(self.folder).stages()
        asked = self.sampling.stage
        if asked and asked not in {stage.name for stage in stages}:
            known = [stage.name for stage in stages]
            raise UsageError(f"{self.folder}: no stage is called '{asked}'{near_miss(asked, known)}")
        comparing = [stage.name for stage in stages if stage.kind == "compare"]
        if asked and asked not in comparing:
            names = ", ".join(comparing) or "none"
            raise UsageError(f"{self.folder}: '{asked}' compares nothing; stages that do: {names}")
        if self._drawn in {stage.name for stage in stages}:
            return self._drawn
        labelling = [stage.name for stage in stages if stage.has_labels]
        if asked:
            return asked if asked in labelling else None
        if len(labelling) > 1:
            raise UsageError(
                f"{self.folder}: {len(labelling)} stages give labels: {', '.join(labelling)}",
                hint=f"jurist review {self.folder} --stage {labelling[-1]}",
            )
        return labelling[0] if labelling else None

    def queue(self) -> Queue | None:
        """The queue, while it is drawn and the index has what was drawn."""
        queue = self.drawn_queue()
        if queue is None or not self.index.is_whole(queue.stage) or len(queue.drawn()) != self._there:
            return None
        return queue

    def drawn_queue(self) -> Queue | None:
        """The queue, as soon as it is drawn: the index may just be made anew, and have only part of it."""
        return Queue(self.index, self.votes, self._drawn) if self._drawn else None

    def readings(self) -> list[Reading]:
        """How far each file is read, while that is what the queue waits for; else nothing."""
        found = self.index.readings()
        drawable = any(stage.has_labels for stage in self._in_question())
        return found if drawable or any(each.read < each.size for each in found) else []

    def hidden(self, reviewer: str) -> Hidden:
        """What a reviewer must not see judged: what of the sample they have not voted on.

        Before the queue is drawn it could be any comparison, also while the run still writes them.
        """
        queue = self.queue()
        if queue is not None:
            return queue.hidden(reviewer)
        could_be_drawn = any(stage.has_labels or not stage.finished for stage in self._in_question())
        return EVERYTHING if could_be_drawn else NOTHING

    def _in_question(self) -> list[StageFolder]:
        """The stages that could be sampled: the one that was asked for, or all that compare."""
        stages = [stage for stage in RunFiles.read(self.folder).stages() if stage.kind == "compare"]
        asked = self._drawn or self.sampling.stage
        return [stage for stage in stages if stage.name == asked] if asked else stages

    def catch_up(self) -> None:
        """Read what the run's files have in addition; draw the sample once that can be done."""
        try:
            self.index.refresh()
            stage = self.stage()
            if stage is not None and self.queue() is None and self.index.is_whole(stage):
                queue = Queue(self.index, self.votes, stage)
                self._there = queue.draw(self.sampling.size, self.sampling.seed)
                self._drawn = stage
            self.trouble = ""
        except UsageError as error:
            self.trouble = str(error)
        except FileNotFoundError as error:
            _log.debug("a file was renamed while it was read: %s", error)  # looked at again in a second

    def keep_up(self) -> None:
        """Catch up again and again, until :meth:`end`."""
        while not self._ended.is_set():
            try:
                self.catch_up()
            except Exception as error:  # the pages say it; the server goes on showing what there is
                self.trouble = f"{type(error).__name__}: {error}"
                _log.exception("The run's files could not be read.")
            self._ended.wait(_EVERY)

    def end(self) -> None:
        """Stop keeping up."""
        self._ended.set()
