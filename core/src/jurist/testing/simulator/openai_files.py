"""OpenAI's files."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import orjson

from jurist.testing.simulator.call import Call, Upload
from jurist.testing.simulator.dialect import Dialect, now
from jurist.testing.simulator.rejection import Rejected
from jurist.testing.simulator.sealed import Sealed


@dataclass(frozen=True)
class File:
    """A file that is kept."""

    id: str
    filename: str
    purpose: str
    content: bytes
    created: int

    def shown(self) -> dict[str, Any]:
        """The file as the API shows it."""
        return {
            "id": self.id,
            "object": "file",
            "bytes": len(self.content),
            "created_at": self.created,
            "expires_at": None,
            "filename": self.filename,
            "purpose": self.purpose,
            "status": "processed",
            "status_details": None,
        }


class OpenAIFiles:
    """The calls about files."""

    def __init__(self, dialect: Dialect) -> None:
        self._dialect = dialect
        self._files: dict[str, File] = {}

    def keep(self, filename: str, purpose: str, content: bytes) -> File:
        """A new file."""
        file = File(self._dialect.new_id("file-"), filename, purpose, content, now())
        self._files[file.id] = file
        return file

    def find(self, file_id: str) -> File:
        """The file of that id."""
        if file_id not in self._files:
            raise Rejected(404, f"No such File object: {file_id}", param="id")
        return self._files[file_id]

    def respond(self, call: Call) -> Sealed:
        """Answer one call."""
        match (call.method, *call.parts[1:]):
            case ("POST",) if isinstance(call.body, Upload):
                file = self.keep(call.body.filename, call.body.purpose, call.body.content)
                return self._dialect.response(orjson.dumps(file.shown()))
            case "GET", file_id:
                return self._dialect.response(orjson.dumps(self.find(file_id).shown()))
            case "GET", file_id, "content":
                content = self.find(file_id).content
                return self._dialect.response(content, headers={"Content-Type": "application/octet-stream"})
            case "DELETE", file_id:
                self.find(file_id)
                del self._files[file_id]
                return self._dialect.response(
                    orjson.dumps({"id": file_id, "object": "file", "deleted": True})
                )
        raise call.unknown()
