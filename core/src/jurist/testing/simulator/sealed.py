"""Responses that are sent in one piece."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from aiohttp import web
from aiohttp.abc import AbstractStreamWriter

_REASONS = MappingProxyType({int(status): status.phrase for status in HTTPStatus})


class Sealed(web.StreamResponse):
    """A response whose head and body are written at once.

    aiohttp's own composes its head from many parts, which costs more than all else in the simulator.
    """

    def __init__(self, payload: bytes, status: int, headers: Mapping[str, str]) -> None:
        super().__init__(status=status)
        self.payload = payload
        lines = "".join([f"{name}: {value}\r\n" for name, value in headers.items()])
        start = f"HTTP/1.1 {status} {_REASONS.get(status, '')}\r\nContent-Length: {len(payload)}\r\n"
        self._written = f"{start}{lines}\r\n".encode() + payload
        self._stays_open = True

    @property
    def keep_alive(self) -> bool:
        """Whether the connection stays open, as the client wishes."""
        return self._stays_open

    async def prepare(self, request: web.BaseRequest) -> AbstractStreamWriter | None:
        """Send it all."""
        if request.transport is None or request.transport.is_closing():
            raise ConnectionResetError("the client has hung up")
        self._stays_open = request.keep_alive
        request.transport.write(self._written)
        return None

    async def write_eof(self, data: bytes = b"") -> None:
        """Nothing is left to be sent."""
