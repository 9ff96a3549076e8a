"""Calls about files, batches and models."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from aiohttp import BodyPartReader, web

from jurist.testing.simulator.rejection import Rejected


@dataclass(frozen=True)
class Upload:
    """A file that is being uploaded."""

    filename: str
    purpose: str
    content: bytes


@dataclass(frozen=True)
class Call:
    """One call: its path in parts, without the leading v1; ``origin`` is the address the client used."""

    method: str
    parts: tuple[str, ...]
    query: Mapping[str, str]
    body: object
    origin: str

    @property
    def fields(self) -> dict[str, Any]:
        """The body, which must be a JSON object."""
        if not isinstance(self.body, dict):
            raise Rejected(400, "The body of the request is not a JSON object.")
        return self.body

    def limit(self, most: int) -> int:
        """How many items a page of a list shall have."""
        text = self.query.get("limit", "20")
        if not text.isdecimal() or not 1 <= int(text) <= most:
            raise Rejected(400, f"limit: expected a whole number from 1 to {most}", param="limit")
        return int(text)

    def unknown(self) -> Rejected:
        """There is no such address."""
        return Rejected(404, f"Unknown request URL: {self.method} /v1/{'/'.join(self.parts)}.")


async def read_upload(request: web.BaseRequest) -> Upload:
    """The file of a multipart form."""
    found: dict[str, bytes] = {}
    filename = ""
    try:
        reader = await request.multipart()
        while (part := await reader.next()) is not None:
            if isinstance(part, BodyPartReader) and part.name is not None:
                found[part.name] = bytes(await part.read())
                filename = part.filename or filename
    except (ValueError, AssertionError) as error:
        # aiohttp asserts that the content type is multipart.
        raise Rejected(400, f"The body is not a multipart form: {error}") from error
    missing = [name for name in ("file", "purpose") if name not in found]
    if missing:
        raise Rejected(400, f"'{missing[0]}' is a required property", param=missing[0])
    return Upload(filename or "upload", found["purpose"].decode("utf-8", "replace"), found["file"])
