"""Connections that go wrong.

Each of these breaks a connection for good. The response they give back only satisfies aiohttp, which notices
that it cannot be sent any more.
"""

from __future__ import annotations

import asyncio
import socket
import struct

from aiohttp import web

CHECK = 0.05
"""Seconds between two looks whether a client that is kept waiting has hung up."""

HTML = "<!DOCTYPE html>\n<html><head><title>Welcome</title></head><body><h1>It works!</h1></body></html>\n"


def reset(request: web.BaseRequest) -> web.Response:
    """Reset the connection, which the client sees as such and not as a polite end."""
    if (transport := request.transport) is not None:
        linger = struct.pack("ii", 1, 0)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        transport.abort()
    return web.Response()


async def stall(request: web.BaseRequest, seconds: float) -> web.Response:
    """Say nothing until ``seconds`` are over or the client has hung up; then close."""
    loop = asyncio.get_running_loop()
    end = loop.time() + seconds
    while not hung_up(request) and (left := end - loop.time()) > 0:
        await asyncio.sleep(min(left, CHECK))
    if (transport := request.transport) is not None:
        transport.close()
    return web.Response()


def truncated(request: web.BaseRequest, payload: bytes, *, chunked: bool) -> web.Response:
    """Send the first half of ``payload`` and close."""
    half = payload[: len(payload) // 2]
    head = "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
    if chunked:
        sent = f"{head}Transfer-Encoding: chunked\r\n\r\n{len(half):x}\r\n".encode() + half + b"\r\n"
    else:
        sent = f"{head}Content-Length: {len(payload)}\r\n\r\n".encode() + half
    if (transport := request.transport) is not None:
        transport.write(sent)
        transport.close()
    return web.Response()


def hung_up(request: web.BaseRequest) -> bool:
    """Whether the client has closed the connection."""
    return request.transport is None or request.transport.is_closing()


def not_json() -> web.Response:
    """A page, where JSON is expected."""
    return web.Response(text=HTML, content_type="text/html")
