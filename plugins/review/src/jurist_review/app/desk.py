"""Everything that the pages of one run share, and the thread that keeps up with the run's files."""

from __future__ import annotations

import logging
import threading
from dataclasses import dataclass
from pathlib import Path

from jurist.errors import UsageError
from jurist.options import near_miss
from jurist_review.app.index import Index
from jurist_review.app.listing import NOTHING, Hidden, Listing
from jurist_review.app.queue import Queue
from jurist_review.app.rows import Rows
from jurist_review.app.sources import RunFiles
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
        self.stage()
        self.index = Index(folder)
        self.votes = Votes(folder)
        self.rows = Rows(self.index)
        self.listing = Listing(self.index)
        self._drawn = ""
        self._ended = threading.Event()

    def stage(self) -> str | None:
        """The stage whose labels people look at; None while no stage has given any.

        Raises:
            UsageError: the one that was asked for is not there, or several could be meant.
        """
        stages = RunFiles.read(self.folder).stages()
        asked = self.sampling.stage
        if asked and asked not in {stage.name for stage in stages}:
            known = [stage.name for stage in stages]
            raise UsageError(f"{self.folder}: no stage is called '{asked}'{near_miss(asked, known)}")
        labelling = [
            stage.name for stage in stages if stage.finished and _has_rows(stage.file("preferences.jsonl"))
        ]
        if asked:
            return asked if asked in labelling else None
        if len(labelling) > 1:
            raise UsageError(
                f"{self.folder}: {len(labelling)} stages give labels: {', '.join(labelling)}",
                hint=f"jurist review {self.folder} --stage {labelling[-1]}",
            )
        return labelling[0] if labelling else None

    def queue(self) -> Queue | None:
        """The queue, as soon as it is drawn."""
        return Queue(self.index, self.votes, self._drawn) if self._drawn else None

    def hidden(self, reviewer: str) -> Hidden:
        """What a reviewer must not see judged: what of the sample they have not voted on.

        Before the queue is drawn, which is soon, it could be any comparison.
        """
        queue = self.queue()
        if queue is not None:
            return queue.hidden(reviewer)
        stage = self.stage()
        return NOTHING if stage is None else Hidden(stage, items=None)

    def catch_up(self) -> None:
        """Read what the run's files have in addition; draw the sample once that can be done."""
        try:
            self.index.refresh()
            stage = self.stage()
            if stage is not None and stage != self._drawn and self.index.is_whole(stage):
                Queue(self.index, self.votes, stage).draw(self.sampling.size, self.sampling.seed)
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


def _has_rows(path: Path | None) -> bool:
    return path is not None and path.stat().st_size > 0
