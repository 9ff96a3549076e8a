"""Who may ask: the token, the name of the host, the origin of requests, and what answers tell browsers."""

from __future__ import annotations

import hashlib
import ipaddress
import secrets
import socket
from dataclasses import dataclass
from urllib.parse import parse_qs, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import cookie_parser
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self';"
        " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Cache-Control": "no-store",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}


@dataclass(frozen=True)
class Access:
    """What is asked of a request: the ``token`` of this server, and the ``host`` that it was started for."""

    token: str
    host: str
    port: int

    @property
    def cookie(self) -> str:
        """The name of the cookie; cookies are shared by all ports of a host, so the port is part of it."""
        return f"jurist_review_{self.port}"

    @property
    def set_cookie(self) -> str:
        """The header that lets a browser in: no script can read it, and no other site's post carries it.

        Lax, not Strict: a link to the printed address may be on another site, as in a chat.
        """
        return f"{self.cookie}={self.token}; Path=/; HttpOnly; SameSite=Lax"

    @property
    def start(self) -> str:
        """Tells this start of the server from others, and nothing of the token."""
        return hashlib.sha256(self.token.encode()).hexdigest()[:12]

    def knows_host(self, header: str) -> bool:
        """Whether a request was meant for us: a name that somebody else made lead here is refused."""
        try:
            name = urlsplit(f"//{header}").hostname or ""
        except ValueError:
            return False
        if name in {"localhost", self.host.lower(), socket.gethostname().lower()}:
            return True
        try:
            ipaddress.ip_address(name)
        except ValueError:
            return False
        return True

    def knows(self, token: str) -> bool:
        """Whether a token is ours, in a time that does not depend on where it differs."""
        return secrets.compare_digest(token.encode(), self.token.encode())


class Guard:
    """Lets a request through to ``app``, or answers it: 400, 401, 403, or a redirect that sets the cookie."""

    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            return  # there are no web sockets; without an answer the server refuses them

        async def guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
            await send(message)

        refusal = self._refusal(scope)
        await (self._app if refusal is None else refusal)(scope, receive, guarded)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        if not self._access.knows_host(headers.get("host", "")):
            return PlainTextResponse("this server is not called so", 400)
        if self._access.knows(cookie_parser(headers.get("cookie", "")).get(self._access.cookie, "")):
            return None if _is_ours(scope, headers) else PlainTextResponse("from another site: refused", 403)
        given = parse_qs(scope["query_string"].decode("latin-1")).get("token", [""])[0]
        if not self._access.knows(given):
            return PlainTextResponse("open the address that 'jurist review' printed, token and all", 401)
        if scope["method"] != "GET":
            return PlainTextResponse("a token in the address only opens the page", 401)
        # The address without the token is what stays in the browser's history.
        answer = RedirectResponse("/", 303)
        answer.headers["Set-Cookie"] = self._access.set_cookie
        return answer


def _is_ours(scope: Scope, headers: Headers) -> bool:
    """Whether a request that changes something was made by a page of ours."""
    if scope["method"] in ("GET", "HEAD"):
        return True
    site = headers.get("sec-fetch-site", "same-origin")
    origin = headers.get("origin", f"{scope['scheme']}://{headers['host']}")
    return site == "same-origin" and origin == f"{scope['scheme']}://{headers['host']}"
