"""JSON that a server sends: bodies of replies, and the rows of what comes of a batch."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from typing import Any

from pydantic_core import from_json

from jurist.errors import whole

_ID = re.compile(rb'"custom_id"\s*:\s*"([\w-]+)"')


def read_json(sent: bytes) -> Any:
    """The JSON value. Half a character in it (a text cut inside an emoji) becomes U+FFFD.

    Raises:
        ValueError: it is no JSON.
    """
    try:
        return from_json(sent)
    except ValueError:  # it refuses half characters, which JSON may have
        try:
            value = json.loads(sent.decode("utf-8", "replace"))
            return json.loads(whole(json.dumps(value, ensure_ascii=False)))
        except RecursionError as error:
            raise ValueError("nested too deeply") from error


async def rows(chunks: AsyncIterator[bytes]) -> AsyncIterator[dict[str, Any]]:
    """The rows of a file. Only a line feed ends one; U+2028 and its like may stand in a text.

    Of a row that cannot be read, only its ``custom_id`` is given, or nothing where that cannot be told.
    """
    rest = b""
    async for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            if line.strip():
                yield _row(line) or _named(line)
    if rest.strip():
        yield _row(rest)  # it may be cut off, and whole when the file is read again


def _row(line: bytes) -> dict[str, Any]:
    try:
        row = read_json(line)
    except ValueError:
        return {}
    return row if isinstance(row, dict) else {}


def _named(line: bytes) -> dict[str, Any]:
    found = _ID.search(line)
    return {"custom_id": found[1].decode()} if found else {}
