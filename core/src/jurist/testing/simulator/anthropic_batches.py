"""Anthropic's message batches."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from jurist.testing.simulator.batch import Batch, Kind, Line, Result
from jurist.testing.simulator.batch_store import BatchStore
from jurist.testing.simulator.call import Call
from jurist.testing.simulator.dialect import Dialect
from jurist.testing.simulator.rejection import Rejected
from jurist.testing.simulator.sealed import Sealed

MOST = 100_000
KINDS: tuple[Kind, ...] = ("succeeded", "errored", "canceled", "expired")
NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")


class AnthropicBatches:
    """The calls about message batches."""

    def __init__(self, dialect: Dialect, store: BatchStore) -> None:
        self._dialect = dialect
        self._store = store

    def respond(self, call: Call) -> Sealed:
        """Answer one call."""
        match (call.method, *call.parts[2:]):
            case ("POST",):
                return self._say(self._shown(self._create(call.fields), call))
            case ("GET",):
                return self._say(self._list(call))
            case "GET", batch_id:
                return self._say(self._shown(self._store.find(batch_id), call))
            case "GET", batch_id, "results":
                return self._results(self._store.find(batch_id))
            case "POST", batch_id, "cancel":
                return self._say(self._cancel(self._store.find(batch_id), call))
        raise call.unknown()

    def _say(self, told: dict[str, Any]) -> Sealed:
        return self._dialect.response(orjson.dumps(told))

    def _create(self, body: dict[str, Any]) -> Batch:
        requests = body.get("requests")
        if not isinstance(requests, list) or not 1 <= len(requests) <= MOST:
            raise Rejected(400, f"requests: expected a list of 1 to {MOST} requests")
        lines, names = [], set()
        for index, request in enumerate(requests):
            name = request.get("custom_id") if isinstance(request, dict) else None
            if not isinstance(name, str) or not NAME.fullmatch(name):
                raise Rejected(
                    400, f"requests.{index}.custom_id: expected a text that matches {NAME.pattern}"
                )
            if name in names:
                raise Rejected(400, f"requests.{index}.custom_id: '{name}' is there twice")
            names.add(name)
            lines.append(Line(name, request.get("params")))
        return self._store.create("msgbatch_", lines, {}, lambda batch: None)

    def _cancel(self, batch: Batch, call: Call) -> dict[str, Any]:
        if batch.ended is not None:
            raise Rejected(400, f"Batch {batch.id} has ended, so it cannot be canceled.")
        self._store.cancel(batch)
        return self._shown(batch, call)

    def _list(self, call: Call) -> dict[str, Any]:
        after, before = call.query.get("after_id"), call.query.get("before_id")
        batches, more = self._store.page(call.limit(1000), after, before)
        ends = (batches[0].id, batches[-1].id) if batches else (None, None)
        shown = [self._shown(batch, call) for batch in batches]
        return {"data": shown, "has_more": more, "first_id": ends[0], "last_id": ends[1]}

    def _results(self, batch: Batch) -> Sealed:
        if batch.ended is None:
            raise Rejected(400, f"Batch {batch.id} has not ended, so it has no results yet.")
        told = (
            {"custom_id": line.custom_id, "result": self._result(line.result)}
            for line in batch.lines
            if line.result is not None
        )
        content = b"".join(orjson.dumps(each) + b"\n" for each in told)
        return self._dialect.response(content, headers={"Content-Type": "application/x-jsonl"})

    def _result(self, result: Result) -> dict[str, Any]:
        if result.kind == "succeeded":
            return {"type": "succeeded", "message": result.body}
        return {"type": result.kind, "error": result.body} if result.body else {"type": result.kind}

    def _shown(self, batch: Batch, call: Call) -> dict[str, Any]:
        """The batch as the API shows it; requests count as processing until the whole batch has ended."""
        counts, ended = batch.counts(), batch.ended is not None
        status = "ended" if ended else "in_progress" if batch.cancelled is None else "canceling"
        return {
            "id": batch.id,
            "type": "message_batch",
            "processing_status": status,
            "request_counts": {
                "processing": 0 if ended else len(batch.lines),
                **{kind: counts[kind] if ended else 0 for kind in KINDS},
            },
            "created_at": _time(batch.created),
            "ended_at": _time(batch.ended),
            "expires_at": _time(batch.created, timedelta(hours=24)),
            "archived_at": None,
            "cancel_initiated_at": _time(batch.cancelled),
            "results_url": f"{call.origin}/v1/messages/batches/{batch.id}/results" if ended else None,
        }


def _time(seconds: float | None, later: timedelta = timedelta(0)) -> str | None:
    if seconds is None:
        return None
    return (datetime.fromtimestamp(seconds, UTC) + later).isoformat().replace("+00:00", "Z")
