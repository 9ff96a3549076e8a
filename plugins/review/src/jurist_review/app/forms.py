"""What pages need of a request: its form, and who the reviewer is."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from urllib.parse import parse_qsl, quote, unquote

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from jurist_review.app.security import Access

_LARGEST = 200_000
"""Bytes of a form."""

_LONGEST_NAME = 60

Form = Mapping[str, str]
Handler = Callable[[Request, Form], Response]


async def read_form(request: Request) -> Form:
    """The fields of a posted form; of two with one name the last.

    Raises:
        HTTPException: it is too large, or not such a form.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip()
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(415, "forms only")
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST:
            raise HTTPException(413, "that is too long")
    try:
        return dict(parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=20))
    except ValueError as error:
        raise HTTPException(400, "not a form") from error


def posted(handler: Handler) -> Callable[[Request], object]:
    """An endpoint that reads the form first, and does the work beside the event loop."""

    async def endpoint(request: Request) -> Response:
        return await run_in_threadpool(handler, request, await read_form(request))

    return endpoint


def reviewer_of(request: Request, access: Access, default: str) -> str:
    """The name under which this browser votes; empty where nobody has said one to this server."""
    start, _, name = request.cookies.get(_name_of(access), "").partition(".")
    return clean_name(unquote(name)) if start == access.start else default


def name_cookie(access: Access, name: str) -> str:
    """The header that keeps a name in the browser, for as long as this server runs."""
    value = f"{access.start}.{quote(name, safe='')}"
    return f"{_name_of(access)}={value}; Path=/; HttpOnly; SameSite=Lax"


def _name_of(access: Access) -> str:
    return f"{access.cookie}_name"


def clean_name(name: str) -> str:
    """A name without anything that cannot be seen or is too long; empty where nothing is left."""
    return " ".join("".join(each if each.isprintable() else " " for each in name).split())[:_LONGEST_NAME]


def number_of(text: str) -> int | None:
    """A number in digits, as addresses and forms hold them; None where it is none, or one that is absurd."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None
