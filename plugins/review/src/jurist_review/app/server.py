"""The server of the review app: its address, its token, and its end."""

from __future__ import annotations

import getpass
import ipaddress
import logging
import secrets
import socket
import threading
import webbrowser
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import uvicorn

from jurist.errors import UsageError
from jurist_review.app.desk import Desk, Sampling
from jurist_review.app.forms import clean_name
from jurist_review.app.security import Access
from jurist_review.app.site import make_app
from jurist_review.display import counted

_log = logging.getLogger("jurist_review")


@dataclass(frozen=True)
class Settings:
    """What is reviewed, by whom, and where the page is served. Port 0 is any that is free."""

    run: Path
    stage: str
    reviewer: str
    size: int | None
    seed: int
    host: str
    port: int
    open_page: bool


def serve(settings: Settings) -> str:
    """Serve the app until it is interrupted; returns a line on what was done.

    Raises:
        UsageError: there is no such run or stage, or the address is taken.
    """
    desk = Desk(settings.run, Sampling(settings.stage, settings.size, settings.seed))
    with _listening(settings.host, settings.port) as listening:
        access = Access(secrets.token_urlsafe(32), settings.host, listening.getsockname()[1])
        address = f"http://{_in_url(settings.host)}:{access.port}/?token={access.token}"
        _announce(settings, address)
        server = uvicorn.Server(
            uvicorn.Config(
                make_app(desk, access, _reviewer(settings)),
                log_level="warning",
                access_log=False,  # addresses hold the token
                server_header=False,
                ws="none",
                timeout_graceful_shutdown=3,
            )
        )
        if settings.open_page:
            threading.Timer(0.5, webbrowser.open, [address]).start()
        with suppress(KeyboardInterrupt):  # how a server is meant to end
            server.run(sockets=[listening])
    stage = desk.stage()
    votes = [] if stage is None else [e for e in desk.votes.standing(stage) if e.kind == "vote"]
    told = f"{counted(len(votes), 'vote')} in {desk.votes.path}"
    if not votes:
        return told
    named = f" --stage {settings.stage}" if settings.stage else ""
    return f"{told}; next: jurist review {settings.run}{named} --export FILE"


def _announce(settings: Settings, address: str) -> None:
    """Say where the page is; the token is in the address and nowhere else."""
    print(f"review {settings.run} at\n  {address}\nCtrl-C ends it; votes are kept.", flush=True)  # noqa: T201
    if not _is_loopback(settings.host):
        _log.warning(
            "Everybody in the network who has this address can read the run and vote;"
            " what is sent is not encrypted."
        )


def _reviewer(settings: Settings) -> str:
    """Who votes unless another name is said: on a page that only this computer sees, its user."""
    if settings.reviewer or not _is_loopback(settings.host):
        return clean_name(settings.reviewer)
    try:
        return clean_name(getpass.getuser())
    except (OSError, KeyError):
        return ""


def _listening(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        return socket.create_server((host, port), family=family)
    except OSError as error:
        raise UsageError(
            f"the review app cannot be served at {host}:{port}",
            provided_by="jurist-review",
            cause=error,
            hint="choose another --port, or leave it out: any free one is taken",
        ) from error


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _in_url(host: str) -> str:
    """A host as addresses write it; one that means all of them as the name of this computer."""
    if host in ("0.0.0.0", "::"):
        return socket.gethostname()
    return f"[{host}]" if ":" in host else host
