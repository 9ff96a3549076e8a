"""The pages beside the vote: browsing, single rows, the live view, reviewers and export."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from starlette.exceptions import HTTPException

from jurist.errors import UsageError
from jurist.validation.labelled import Label
from jurist_review.app.agreement import (
    JuryAgreement,
    among_reviewers,
    consensus,
    labels_by_item,
    with_jury,
)
from jurist_review.app.desk import Desk
from jurist_review.app.export_job import ExportJob
from jurist_review.app.exporting import label_rows
from jurist_review.app.forms import number_of
from jurist_review.app.listing import Filters, match
from jurist_review.app.live import read_state
from jurist_review.app.queue import Progress, Queue
from jurist_review.app.rendering import render
from jurist_review.display import ENDINGS

_NEWEST = 8
_LONGEST_SEARCH = 1000
_PATIENCE = 5.0
"""Seconds that a page waits for an export, before it says that it goes on."""


@dataclass(frozen=True)
class ReviewerState:
    """A reviewer: how far they are, and how far the jury agrees with them."""

    name: str
    progress: Progress
    agreement: JuryAgreement


class Pages:
    """Each method gives a page as HTML, as a reviewer may see it."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._job = ExportJob(desk.folder)

    def browse(self, reviewer: str, query: Mapping[str, str]) -> str:
        """Rows by filter and search."""
        filters = _filters(query)
        hidden = self._desk.hidden(reviewer)
        return self._render(
            "browse.html.j2",
            "/browse",
            "Browse",
            reviewer,
            filters={f.name: getattr(filters, f.name) for f in fields(filters)} | {"query": filters.query},
            wordless=bool(filters.q.strip()) and not match(filters.q),
            choices=self._desk.listing.choices(),
            listed=self._desk.listing.page(filters, hidden),
            waiting=None if hidden.items is None else len(hidden.items),
            unreadable=sum(each.unreadable for each in self._desk.index.readings()),
        )

    def waiting(self, reviewer: str, number: int) -> str | None:
        """The comparison of a row, if it waits for this reviewer's vote."""
        row = self._desk.rows.numbered(number)
        return row.item if row is not None and self._desk.hidden(reviewer).holds(row) else None

    def item(self, reviewer: str, number: int, whole: bool) -> str:
        """One row with everything that was said of it."""
        row = self._desk.rows.numbered(number)
        if row is None:
            raise HTTPException(404, "there is no such row")
        if row.kind == "trajectory":
            trajectory = self._desk.rows.trajectory(row)
            return self._render(
                "trajectory.html.j2",
                "",
                "Trajectory",
                reviewer,
                item=row,
                trajectory=trajectory,
                whole=whole,
            )
        queue = self._desk.queue()
        history = self._desk.votes.history(row.stage, row.item)
        drawn = queue is not None and row.stage == queue.stage and row.item in {e.item for e in queue.drawn()}
        return self._render(
            "comparison.html.j2",
            "",
            "Comparison",
            reviewer,
            item=row,
            judged=self._desk.rows.judged(row),
            whole=whole,
            drawn=drawn,
            history=history,
            undone={event.undoes for event in history},
        )

    def live(self, reviewer: str) -> str:
        """The run as it is now."""
        state = read_state(self._desk.folder)
        at_work = state.at_work
        hidden = self._desk.hidden(reviewer)
        listing = self._desk.listing
        return self._render(
            "live.html.j2",
            "/live",
            "Live",
            reviewer,
            state=state,
            endings=ENDINGS,
            counts={each.name: listing.counts(each.name).get("outcome", {}) for each in state.stages},
            newest=[] if at_work is None else listing.newest(at_work.name, hidden, _NEWEST),
            hidden=hidden.items is None,
        )

    def reviewers(self, reviewer: str) -> str:
        """Who voted, how far the jury agrees with them, and they with each other."""
        queue = self._desk.queue()
        if queue is None:
            values: dict[str, Any] = {"reviewers": None, "strata": (), "undecided": 0, "among": None}
            return self._render("reviewers.html.j2", "/reviewers", "Reviewers", reviewer, **values)
        standing = self._desk.votes.standing(queue.stage)
        labels = labels_by_item(standing)
        agreed = consensus(labels)
        jury = with_jury(self._desk.index, queue.stage, agreed)
        return self._render(
            "reviewers.html.j2",
            "/reviewers",
            "Reviewers",
            reviewer,
            reviewers=[self._state(queue, name, labels) for name in sorted({e.reviewer for e in standing})],
            strata=jury.strata if labels else (),
            undecided=sum(label is None for label in agreed.values()),
            among=among_reviewers(labels),
        )

    def _state(self, queue: Queue, name: str, labels: Mapping[str, Mapping[str, Label]]) -> ReviewerState:
        own = {item: given.get(name) for item, given in labels.items()}
        return ReviewerState(name, queue.progress(name), with_jury(self._desk.index, queue.stage, own))

    def export(self, reviewer: str, patience: float = 0.0) -> str:
        """What can be exported, and what was; one that goes on is waited for, up to ``patience`` seconds."""
        exported, trouble = None, self._desk.trouble
        try:
            exported = self._job.result(patience)
        except UsageError as error:
            trouble = str(error)
        queue = self._desk.queue()
        rows, undecided = ([], 0) if queue is None else label_rows(queue, self._desk.votes)
        return self._render(
            "export.html.j2",
            "/export",
            "Export",
            reviewer,
            trouble=trouble,
            stage="" if queue is None else queue.stage,
            labels=len(rows),
            undecided=undecided,
            exported=exported,
            running=self._job.running,
        )

    def add_labels(self, reviewer: str) -> str:
        """Add the labels to the run; the page then says what they show."""
        queue = self._desk.queue()
        if queue is None:
            raise HTTPException(409, "there is nothing to export yet")
        self._job.start(queue.stage)
        return self.export(reviewer, _PATIENCE)

    def _render(self, template: str, page: str, title: str, reviewer: str, **values: Any) -> str:
        common = {"page": page, "title": title, "reviewer": reviewer, "trouble": self._desk.trouble}
        return render(template, **{**common, **values})


def _filters(query: Mapping[str, str]) -> Filters:
    """The filters of an address; numbers that are none are as if they were not there."""
    found: dict[str, Any] = {}
    for each in fields(Filters):
        text = query.get(each.name, "")[:_LONGEST_SEARCH]
        if each.name in ("after", "before"):
            found[each.name] = number_of(text) or 0
        else:
            found[each.name] = text
    return Filters(**found)
