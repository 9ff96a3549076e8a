"""OpenAI's batches."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import orjson

from jurist.testing.simulator.batch import Batch, Line
from jurist.testing.simulator.batch_store import BatchStore
from jurist.testing.simulator.call import Call
from jurist.testing.simulator.dialect import Dialect
from jurist.testing.simulator.openai_files import OpenAIFiles
from jurist.testing.simulator.openai_lines import read_lines, write_line
from jurist.testing.simulator.rejection import Rejected
from jurist.testing.simulator.sealed import Sealed

ENDPOINT = "/v1/chat/completions"
DAY = 24 * 60 * 60
ENDED = frozenset({"completed", "expired", "cancelled", "failed"})
MOST_TAGS, LONGEST_TAG, LONGEST_TEXT = 16, 64, 512


class OpenAIBatches:
    """The calls about batches."""

    def __init__(self, dialect: Dialect, files: OpenAIFiles, store: BatchStore) -> None:
        self._dialect = dialect
        self._files = files
        self._store = store

    def respond(self, call: Call) -> Sealed:
        """Answer one call."""
        return self._dialect.response(orjson.dumps(self._answer(call)))

    def _answer(self, call: Call) -> dict[str, Any]:
        match (call.method, *call.parts[1:]):
            case ("POST",):
                return {**self._shown(self._create(call.fields)), "status": "validating"}
            case ("GET",):
                return self._list(call)
            case "GET", batch_id:
                return self._shown(self._store.find(batch_id))
            case "POST", batch_id, "cancel":
                return self._cancel(self._store.find(batch_id))
        raise call.unknown()

    def _create(self, body: dict[str, Any]) -> Batch:
        if body.get("endpoint") != ENDPOINT:
            raise Rejected(400, f"endpoint: the simulator knows {ENDPOINT}", param="endpoint")
        if body.get("completion_window") != "24h":
            raise Rejected(400, "completion_window: expected 24h", param="completion_window")
        if not _are_tags(body.get("metadata") or {}):
            raise Rejected(400, f"metadata: expected at most {MOST_TAGS} short texts", param="metadata")
        file = self._files.find(str(body.get("input_file_id")))
        if file.purpose != "batch":
            raise Rejected(400, "input_file_id: the purpose of the file is not batch", param="input_file_id")
        lines, errors = read_lines(file.content, ENDPOINT)
        batch = self._store.create("batch_", [] if errors else lines, body, self._end)
        batch.found = {"errors": errors}
        return batch

    def _cancel(self, batch: Batch) -> dict[str, Any]:
        status = _status(batch)
        if status in ENDED:
            raise Rejected(409, f"Cannot cancel a batch with status '{status}'.")
        self._store.cancel(batch)
        return self._shown(batch)

    def _list(self, call: Call) -> dict[str, Any]:
        batches, more = self._store.page(call.limit(100), call.query.get("after"))
        ends = {"first_id": batches[0].id, "last_id": batches[-1].id} if batches else {}
        shown = [self._shown(batch) for batch in batches]
        return {"object": "list", "data": shown, "first_id": None, "last_id": None, **ends, "has_more": more}

    def _end(self, batch: Batch) -> None:
        """Write the files of a batch that has ended."""
        done = [line for line in batch.lines if _succeeded(line)]
        rest = [line for line in batch.lines if not _succeeded(line)]
        for name, lines in (("output", done), ("error", rest)):
            if lines:
                content = self._written(lines)
                file = self._files.keep(f"{batch.id}_{name}.jsonl", "batch_output", content)
                batch.found[f"{name}_file_id"] = file.id

    def _written(self, lines: Iterable[Line]) -> bytes:
        new_id = self._dialect.new_id
        told = (write_line(line, new_id("batch_req_"), new_id("req_")) for line in lines)
        return b"".join(orjson.dumps(each) + b"\n" for each in told)

    def _shown(self, batch: Batch) -> dict[str, Any]:
        """The batch as the API shows it."""
        status, counts, created = _status(batch), batch.counts(), int(batch.created)
        ended = None if batch.ended is None else int(batch.ended)
        told = {name: batch.told.get(name) for name in ("endpoint", "input_file_id", "completion_window")}
        errors = batch.found.get("errors")
        return {
            "id": batch.id,
            "object": "batch",
            **told,
            "metadata": batch.told.get("metadata"),
            "errors": {"object": "list", "data": errors} if errors else None,
            "status": status,
            "output_file_id": batch.found.get("output_file_id"),
            "error_file_id": batch.found.get("error_file_id"),
            "created_at": created,
            "in_progress_at": None if errors else created,
            "expires_at": created + DAY,
            "finalizing_at": ended if status == "completed" else None,
            **{f"{end}_at": ended if status == end else None for end in sorted(ENDED)},
            "cancelling_at": None if batch.cancelled is None else int(batch.cancelled),
            "request_counts": {
                "total": len(batch.lines),
                "completed": counts["succeeded"],
                "failed": counts["errored"],
            },
        }


def _status(batch: Batch) -> str:
    if batch.found.get("errors"):
        return "failed"
    if batch.ended is None:
        return "in_progress" if batch.cancelled is None else "cancelling"
    if batch.cancelled is not None:
        return "cancelled"
    return "expired" if batch.counts()["expired"] else "completed"


def _succeeded(line: Line) -> bool:
    return line.result is not None and line.result.kind == "succeeded"


def _are_tags(metadata: object) -> bool:
    """Whether a batch may carry ``metadata``."""
    if not isinstance(metadata, dict) or len(metadata) > MOST_TAGS:
        return False
    return all(
        len(name) <= LONGEST_TAG and isinstance(text, str) and len(text) <= LONGEST_TEXT
        for name, text in metadata.items()
    )
