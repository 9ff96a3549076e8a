"""The queue: comparisons drawn for people, those first on which the jury disagreed most."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass

from jurist.errors import UsageError
from jurist.records import Message
from jurist.validation.labelled import Label
from jurist.validation.spot_check import SpotCheck, ToLabel
from jurist_review.app.index import Index
from jurist_review.app.indexed_rows import Rows
from jurist_review.app.listing import Hidden
from jurist_review.app.votes import Drawn, Event, Shown, Votes

_SIZE = 100

_FIRST = ("contested", "mostly", "filter", "unanimous")
"""Strata in the order in which people see them."""

_SLOTS: dict[Shown, dict[str, Label]] = {
    "ab": {"first": "A", "second": "B", "tie": "tie"},
    "ba": {"first": "B", "second": "A", "tie": "tie"},
}


@dataclass(frozen=True)
class Task:
    """A comparison as a reviewer sees it: the responses in the order shown, and nothing of the jury.

    ``seen`` is the newest event of the reviewer on it, 0 where there is none; ``vote`` the one that stands.
    """

    item: str
    shown: Shown
    prompt: tuple[Message, ...]
    first: str
    second: str
    tags: tuple[str, ...]
    seen: int
    note: str
    vote: Event | None


@dataclass(frozen=True)
class Progress:
    """How far a reviewer is: of ``drawn`` comparisons, how many have a vote and how many were skipped."""

    drawn: int
    voted: int
    skipped: int

    @property
    def waiting(self) -> int:
        """How many have no vote."""
        return self.drawn - self.voted


class Queue:
    """The sample of a stage as a queue: the same for all reviewers, but for the side that is shown first."""

    def __init__(self, index: Index, votes: Votes, stage: str) -> None:
        self.stage = stage
        self._index = index
        self._rows = Rows(index)
        self._votes = votes

    def draw(self, size: int | None, seed: int) -> int:
        """Draw until the sample has ``size`` comparisons, if there are so many; returns how many it has.

        None: a hundred, unless some were drawn before. What the stage no longer has does not count.

        Raises:
            UsageError: the first sample is too small for the strata, or people have labelled everything.
        """
        drawn, there = self._votes.sample(self.stage), len(self.drawn())
        missing = (size or len(drawn) or _SIZE) - there
        if missing > 0:
            rows = self._more(there + missing, seed + len(drawn), first=not there)
            known = {each.item for each in drawn}
            new = [row for row in rows if row.item not in known][:missing]
            self._votes.keep_sample(self.stage, _queued(drawn, new))
        return len(self.drawn())

    def _more(self, size: int, seed: int, *, first: bool) -> list[ToLabel]:
        """A sample of the stage: of what is new in it, each stratum's part is a random one of the rest."""
        check = SpotCheck(self._index.folder, self.stage)
        try:
            return check.sample(size, seed)
        except UsageError:
            if first:
                raise
            return []  # nothing is left to draw, and there is a sample to vote on

    def drawn(self) -> list[Drawn]:
        """What of the sample the stage still has, in the order of the queue."""
        sample = self._votes.sample(self.stage)
        query = "SELECT item FROM claims WHERE stage = ?"
        with self._index.connected() as connection:
            there = connection.execute(
                f"{query} AND item IN (SELECT value FROM json_each(?))",
                (self.stage, json.dumps([each.item for each in sample])),
            )
            known = {row[0] for row in there}
        return [each for each in sample if each.item in known]

    def waiting(self, reviewer: str) -> list[str]:
        """The items that a reviewer has no vote on, those skipped last."""
        standing = self._of(reviewer)
        voted = {item for item, event in standing.items() if event.kind == "vote"}
        waiting = [each.item for each in self.drawn() if each.item not in voted]
        return sorted(waiting, key=lambda item: standing[item].sequence if item in standing else 0)

    def hidden(self, reviewer: str) -> Hidden:
        """What a reviewer must not see judged yet: also what the index does not have at the moment."""
        voted = {item for item, event in self._of(reviewer).items() if event.kind == "vote"}
        return Hidden(frozenset(each.item for each in self._votes.sample(self.stage)) - voted)

    def progress(self, reviewer: str) -> Progress:
        """How far a reviewer is."""
        standing = self._of(reviewer)
        kinds = [standing[each.item].kind for each in self.drawn() if each.item in standing]
        return Progress(len(self.drawn()), kinds.count("vote"), kinds.count("skip"))

    def last(self, reviewer: str) -> Event | None:
        """The newest vote or skip of a reviewer that stands: what can be undone."""
        drawn = {each.item for each in self.drawn()}
        events = [event for event in self._of(reviewer).values() if event.item in drawn]
        return max(events, key=lambda event: event.sequence, default=None)

    def task(self, item: str, reviewer: str) -> Task:
        """A comparison for a reviewer.

        Raises:
            UsageError: it is not in the sample, or no longer in the stage.
        """
        row = self._rows.compared(self.stage, item)
        if row is None or all(each.item != item for each in self.drawn()):
            raise UsageError(f"no comparison '{item}' is in the sample of stage '{self.stage}'")
        comparison = self._rows.judged(row).comparison
        shown = shown_order(item, reviewer)
        texts = (comparison.response_a.text, comparison.response_b.text)
        events = [e for e in self._votes.history(self.stage, item) if e.reviewer == reviewer]
        return Task(
            item=item,
            shown=shown,
            prompt=comparison.prompt.messages,
            first=texts[shown == "ba"],
            second=texts[shown == "ab"],
            tags=comparison.prompt.tags,
            seen=events[-1].sequence if events else 0,
            note=newest_note(events),
            vote=self._of(reviewer).get(item),
        )

    def to_label(self, each: Drawn, label: Label | None = None) -> ToLabel:
        """A drawn comparison as a row of a spot check."""
        row = self._rows.compared(self.stage, each.item)
        if row is None:
            raise UsageError(f"the stage '{self.stage}' has no comparison '{each.item}' any more")
        comparison = self._rows.judged(row).comparison
        return ToLabel(
            item=each.item,
            label=label,
            prompt=comparison.prompt.messages,
            response_a=comparison.response_a.text,
            response_b=comparison.response_b.text,
            tags=comparison.prompt.tags,
            stratum=each.stratum,
            probability=each.probability,
        )

    def _of(self, reviewer: str) -> dict[str, Event]:
        return {e.item: e for e in self._votes.standing(self.stage) if e.reviewer == reviewer}


def shown_order(item: str, reviewer: str) -> Shown:
    """Which side a reviewer sees first: as good as random, and the same whenever it is asked."""
    digest = hashlib.sha256(f"{item}\n{reviewer}".encode()).digest()
    return "ba" if digest[0] & 1 else "ab"


def label_of(slot: str, shown: Shown) -> Label:
    """The label, in the comparison's own A and B, of the ``first`` or ``second`` response shown, or ``tie``.

    Raises:
        KeyError: ``slot`` is none of them.
    """
    return _SLOTS[shown][slot]


def newest_note(events: Sequence[Event]) -> str:
    """The note that stands: the last that was written, be it empty."""
    return next((event.note for event in reversed(events) if event.note is not None), "")


def _queued(drawn: Sequence[Drawn], rows: Sequence[ToLabel]) -> list[Drawn]:
    """A sample in the order of the queue; within a stratum as it was drawn, which is random."""
    new = [Drawn(row.item, len(drawn) + n, row.stratum, row.probability) for n, row in enumerate(rows)]
    ordered = sorted([*drawn, *new], key=lambda each: (_FIRST.index(each.stratum), each.position))
    return [Drawn(e.item, place, e.stratum, e.probability) for place, e in enumerate(ordered)]
