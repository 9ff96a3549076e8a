"""The socket that the simulator listens on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiohttp import web

from jurist.testing.simulator.service import Service

HOST = "127.0.0.1"
WAITING = 4096
"""Connections that may wait to be accepted: a client may open thousands at once."""
LARGEST = 512 * 2**20
"""Bytes of the largest request; more than the files of either provider's batches may have."""
GRACE = 0.02
"""Seconds that answers under way have when the server stops."""


@asynccontextmanager
async def listening(service: Service, port: int) -> AsyncIterator[int]:
    """Serve on ``port``, or on a free one if it is 0, and give the port."""
    loop = asyncio.get_running_loop()

    def with_large_body(message: Any, body: Any, protocol: Any, writer: Any, task: Any) -> web.BaseRequest:
        return web.BaseRequest(message, body, protocol, writer, task, loop, client_max_size=LARGEST)

    server = web.Server(service.handle, request_factory=with_large_body, access_log=None)
    listener = await loop.create_server(server, HOST, port, backlog=WAITING)
    try:
        yield listener.sockets[0].getsockname()[1]
    finally:
        # asyncio loses connections that it has accepted but not opened yet when its server is closed.
        for each in listener.sockets:
            loop.remove_reader(each.fileno())
        await _settle()
        listener.close()
        await service.close()
        transports = [connection.transport for connection in server.connections]
        await server.shutdown(GRACE)
        for transport in transports:
            # A client that does not read would keep it open for good.
            if transport is not None:
                transport.abort()
        await _settle()
        await listener.wait_closed()


async def _settle() -> None:
    """Let asyncio finish what it has begun: opening what was accepted, closing what is to be closed."""
    for _ in range(5):
        await asyncio.sleep(0)
