"""The app: which address shows what."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from functools import cache
from importlib import resources

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Route
from starlette.types import ASGIApp

from jurist.errors import UsageError
from jurist_review.app.desk import Desk
from jurist_review.app.exporting import history_lines, label_rows
from jurist_review.app.forms import Form, clean_name, name_cookie, number_of, posted, reviewer_of
from jurist_review.app.pages import Pages
from jurist_review.app.rendering import render
from jurist_review.app.security import Access, Guard
from jurist_review.app.votes import StaleError
from jurist_review.app.voting import Voting

_STATIC = {
    "app.css": "text/css",
    "review.js": "text/javascript",
    "live.js": "text/javascript",
    "wait.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}


def make_app(desk: Desk, access: Access, reviewer: str = "") -> ASGIApp:
    """The app of a run. ``reviewer`` is whoever has not said another name; empty: everybody must."""
    return Guard(_Site(desk, access, reviewer).app(), access)


@dataclass
class _Site:
    """The endpoints; each answers one request, in a thread of its own."""

    desk: Desk
    access: Access
    default: str

    def __post_init__(self) -> None:
        self._voting = Voting(self.desk)
        self._pages = Pages(self.desk)

    def app(self) -> Starlette:
        """The routes and what answers errors."""
        return Starlette(
            routes=[
                Route("/", lambda request: RedirectResponse("/review", 303)),
                Route("/review", self.review),
                Route("/review", posted(self.vote), methods=["POST"]),
                Route("/browse", self.browse),
                Route("/item/{number}", self.item),
                Route("/live", self.live),
                Route("/reviewers", self.reviewers),
                Route("/reviewers", posted(self.name), methods=["POST"]),
                Route("/export", self.export),
                Route("/export", posted(self.add_labels), methods=["POST"]),
                Route("/export/{name}.jsonl", self.download),
                Route("/static/{name}", _static),
            ],
            exception_handlers={HTTPException: self.refused, UsageError: self.refused},
            lifespan=self._lifespan,
        )

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        thread = threading.Thread(target=self.desk.keep_up, name="jurist-review-index", daemon=True)
        thread.start()
        yield
        self.desk.end()

    def _reviewer(self, request: Request) -> str:
        return reviewer_of(request, self.access, self.default)

    def review(self, request: Request) -> Response:
        """The next comparison to vote on, or the one in the address."""
        query = request.query_params
        page = self._voting.page(
            self._reviewer(request),
            item=query.get("item", ""),
            saved=number_of(query.get("saved", "")) or 0,
            whole="whole" in query,
        )
        return HTMLResponse(page)

    def vote(self, request: Request, form: Form) -> Response:
        """Keep a vote, then go to the next comparison; after an undo or a note, to the same."""
        reviewer = self._reviewer(request)
        try:
            event = self._voting.act(reviewer, form)
        except StaleError as error:
            return HTMLResponse(self._voting.conflict(reviewer, form, error), 409)
        stays = event.kind in ("undo", "note")
        item = f"&item={event.item}" if stays else ""
        return RedirectResponse(f"/review?saved={event.sequence}{item}", 303)

    def browse(self, request: Request) -> Response:
        """Rows by filter and search."""
        return HTMLResponse(self._pages.browse(self._reviewer(request), request.query_params))

    def item(self, request: Request) -> Response:
        """One row; one that waits for the reviewer's vote is shown without what the jury said."""
        number, whole = number_of(request.path_params["number"]), "whole" in request.query_params
        if number is None:
            raise HTTPException(404, "there is no such row")
        reviewer = self._reviewer(request)
        waiting = self._pages.waiting(reviewer, number)
        if waiting is not None:
            return RedirectResponse(f"/review?item={waiting}", 303)
        return HTMLResponse(self._pages.item(reviewer, number, whole))

    def live(self, request: Request) -> Response:
        """The run as it is now; nothing where the browser has it already."""
        page = self._pages.live(self._reviewer(request))
        tag = f'"{hashlib.sha256(page.encode()).hexdigest()[:32]}"'
        if request.headers.get("if-none-match") == tag:
            return Response(status_code=304, headers={"ETag": tag})
        return HTMLResponse(page, headers={"ETag": tag})

    def reviewers(self, request: Request) -> Response:
        """Who voted, and how far they agree."""
        return HTMLResponse(self._pages.reviewers(self._reviewer(request)))

    def name(self, request: Request, form: Form) -> Response:
        """Take a name."""
        name = clean_name(form.get("name", ""))
        if not name:
            raise HTTPException(400, "a name needs a letter")
        answer = RedirectResponse("/review", 303)
        answer.headers["Set-Cookie"] = name_cookie(self.access, name)
        return answer

    def export(self, request: Request) -> Response:
        """What can be exported."""
        return HTMLResponse(self._pages.export(self._reviewer(request)))

    def add_labels(self, request: Request, form: Form) -> Response:
        """Add the labels to the run."""
        return HTMLResponse(self._pages.add_labels(self._reviewer(request)))

    def download(self, request: Request) -> Response:
        """The labels or the history as a file, without what the reviewer must not see yet."""
        reviewer, name = self._reviewer(request), request.path_params["name"]
        queue, hidden = self.desk.queue(), self.desk.hidden(reviewer)
        if queue is None or name not in ("labels", "history"):
            raise HTTPException(404, "there is no such file")
        if name == "history":
            lines = history_lines(self.desk.votes, queue.stage, reviewer, hidden)
        else:
            lines = (row.to_json() + "\n" for row in label_rows(queue, self.desk.votes, hidden)[0])
        headers = {"Content-Disposition": f'attachment; filename="{name}.jsonl"'}
        return StreamingResponse(lines, media_type="application/x-ndjson", headers=headers)

    def refused(self, request: Request, error: Exception) -> Response:
        """An error as a page."""
        code = error.status_code if isinstance(error, HTTPException) else 409
        text = error.detail if isinstance(error, HTTPException) else str(error)
        page = render(
            "message.html.j2",
            title="That did not work",
            text=text,
            page="",
            reviewer=self._reviewer(request),
            trouble="",
        )
        return HTMLResponse(page, code)


def _static(request: Request) -> Response:
    name = request.path_params["name"]
    if name not in _STATIC:
        raise HTTPException(404, "there is no such file")
    return Response(_asset(name), media_type=_STATIC[name])


@cache
def _asset(name: str) -> bytes:
    return resources.files("jurist_review.app").joinpath("static", name).read_bytes()
