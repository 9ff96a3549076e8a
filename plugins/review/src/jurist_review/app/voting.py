"""The page on which people vote, without seeing what the jury said."""

from __future__ import annotations

import uuid
from collections.abc import Sequence
from typing import Any

from starlette.exceptions import HTTPException

from jurist.errors import UsageError
from jurist_review.app.agreement import consensus, labels_by_item, with_jury
from jurist_review.app.desk import Desk
from jurist_review.app.forms import Form, number_of
from jurist_review.app.queue import Queue, label_of, shown_order
from jurist_review.app.rendering import render
from jurist_review.app.votes import Action, Event, EventKind, StaleError

_KINDS: dict[str, EventKind] = {"skip": "skip", "note": "note", "undo": "undo"}
_TEXTS: dict[EventKind, str] = {"skip": "skipped", "note": "a note", "undo": "the vote was undone"}


class Voting:
    """What the voting page shows a reviewer, and what it does with what they answer."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    def page(
        self,
        reviewer: str,
        *,
        item: str = "",
        saved: int = 0,
        whole: bool = False,
        conflict: str = "",
        note: str | None = None,
    ) -> str:
        """The next comparison, or the one that is asked for. ``saved`` is the event that was kept before.

        ``note`` is one that was written but not kept, to be shown in place of the one that was.
        """
        queue = self._desk.queue()
        shown: dict[str, Any] = {
            "page": "/review",
            "title": "Review",
            "reviewer": reviewer,
            "trouble": self._desk.trouble,
        }
        shown |= {"conflict": conflict, "note": note, "said": self._said(reviewer, saved)}
        if queue is None or not reviewer:
            return render("review.html.j2", **shown, progress=None, reading=self._desk.readings())
        waiting = queue.waiting(reviewer)
        item = item or (waiting[0] if waiting else "")
        try:
            task = queue.task(item, reviewer) if item else None
        except UsageError as error:
            raise HTTPException(404, error.what) from error
        if note is None and task is not None:
            shown["note"] = task.note
        labels = consensus(labels_by_item(self._desk.votes.standing(queue.stage)))
        return render(
            "review.html.j2",
            **shown,
            **self._last(queue, reviewer),
            progress=queue.progress(reviewer),
            agreement=with_jury(self._desk.index, queue.stage, labels),
            task=task,
            vote_text=_text(task.vote) if task and task.vote else "",
            whole=whole,
            request_id=str(uuid.uuid4()),
        )

    def _last(self, queue: Queue, reviewer: str) -> dict[str, Any]:
        """What the page says of the newest vote or skip, and needs to undo it."""
        last = queue.last(reviewer)
        if last is None:
            return {"last": None}
        return {
            "last": last,
            "last_text": _text(last),
            "last_row": self._desk.rows.compared(queue.stage, last.item),
            "last_seen": _newest(self._desk.votes.history(queue.stage, last.item), reviewer),
            "undo_id": str(uuid.uuid4()),
        }

    def act(self, reviewer: str, form: Form) -> Event:
        """Keep what a reviewer did; it is on disk when this returns.

        Raises:
            StaleError: another page of theirs was there first, or the name is another than when the page was
                made, to whom the sides may be shown the other way round; nothing was kept.
            HTTPException: the form is not one of ours.
        """
        queue = self._desk.drawn_queue()  # a vote is kept also while the index is made anew
        if queue is None or not reviewer:
            raise HTTPException(409, "there is nothing to vote on")
        if form.get("item", "") not in {each.item for each in self._desk.votes.sample(queue.stage)}:
            raise HTTPException(404, "that comparison is not in the sample")
        action, seen = _action(queue, reviewer, form)
        if form["reviewer"] != reviewer:
            raise StaleError([])
        return self._desk.votes.add(action, seen)

    def conflict(self, reviewer: str, form: Form, error: StaleError) -> str:
        """The page that says what stands instead of what was sent."""
        done = ", then ".join(_text(event) for event in error.events)
        text = f"Nothing was saved, since another page of yours was there first: {done}." if done else ""
        text = text or "Nothing was saved: that vote no longer stands."
        text += " Vote again if you want to change it."
        if form["reviewer"] != reviewer:
            text = f"Nothing was saved: this page was {form['reviewer']}'s, and you vote as {reviewer} now."
        return self.page(reviewer, item=form["item"], conflict=text, note=form.get("note"))

    def _said(self, reviewer: str, saved: int) -> str:
        """What was kept, in words; only of events of this reviewer."""
        queue = self._desk.drawn_queue()
        events = self._desk.votes.history(queue.stage) if saved and queue is not None else []
        event = next((e for e in events if e.sequence == saved and e.reviewer == reviewer), None)
        return "" if event is None else f"Saved: {_text(event)}."


def _action(queue: Queue, reviewer: str, form: Form) -> tuple[Action, int]:
    """A posted form as an action, and the newest event that its page knew."""
    did, shown = form.get("do", ""), shown_order(form["item"], reviewer)
    label = label_of(did, shown) if did in ("first", "second", "tie") else None
    kind = "vote" if label else _KINDS.get(did)
    seen = number_of(form.get("seen", ""))
    undoes = number_of(form.get("undoes", "")) if did == "undo" else None
    try:
        request = str(uuid.UUID(form.get("request", "")))
    except ValueError:
        request = ""
    if (
        "reviewer" not in form
        or kind is None
        or seen is None
        or not request
        or (did == "undo") != (undoes is not None)
    ):
        raise HTTPException(400, "not a form of this page")
    return (
        Action(
            request=request,
            tab=form.get("tab", "")[:40],
            reviewer=reviewer,
            stage=queue.stage,
            item=form["item"],
            kind=kind,
            shown=shown,
            label=label,
            note=form.get("note") if did != "undo" else None,
            undoes=undoes,
        ),
        seen,
    )


def _text(event: Event) -> str:
    """An event in the reviewer's words: A is what they saw first."""
    if event.label in ("A", "B"):
        side = "A" if (event.label == "A") == (event.shown == "ab") else "B"
        return f"{side} is better"
    return "a tie" if event.label == "tie" else _TEXTS[event.kind]


def _newest(events: Sequence[Event], reviewer: str) -> int:
    return max((event.sequence for event in events if event.reviewer == reviewer), default=0)
