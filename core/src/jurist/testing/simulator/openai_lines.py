"""The lines of OpenAI's batch files."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import orjson

from jurist.testing.simulator.batch import Line

MOST = 50_000
UNDONE = MappingProxyType(
    {
        "expired": (
            "batch_expired",
            "This request could not be executed before the completion window expired.",
        ),
        "canceled": ("batch_cancelled", "This request was not executed because the batch was cancelled."),
    }
)


def read_lines(content: bytes, endpoint: str) -> tuple[list[Line], list[dict[str, Any]]]:
    """The requests of an input file, and what is wrong with the file; with an error, no request is done."""
    texts = [(number, text) for number, text in enumerate(content.splitlines(), start=1) if text.strip()]
    if not texts:
        return [], [_error("empty_file", "The input file is empty.")]
    if len(texts) > MOST:
        return [], [_error("too_many_tasks", f"The batch has {len(texts)} requests; the most are {MOST}.")]
    lines: list[Line] = []
    errors: list[dict[str, Any]] = []
    names: set[str] = set()
    for number, text in texts:
        try:
            told = orjson.loads(text)
        except orjson.JSONDecodeError:
            told = None
        if (wrong := _wrong(told, endpoint, names, lines)) is not None:
            errors.append({**wrong, "line": number})
        else:
            lines.append(Line(told["custom_id"], told["body"]))
    return lines, errors


def _wrong(told: Any, endpoint: str, names: set[str], earlier: list[Line]) -> dict[str, Any] | None:
    """What is wrong with a line, given the names used before and the requests that are in order."""
    if not isinstance(told, dict) or not isinstance(told.get("body"), dict):
        return _error("invalid_json_line", "This line is not parseable as valid JSON.")
    name, model = told.get("custom_id"), told["body"].get("model")
    if not isinstance(name, str):
        return _error("missing_required_parameter", "Missing required parameter: 'custom_id'.", "custom_id")
    if name in names:
        return _error("duplicate_custom_id", "The custom_id of this request is not unique.", "custom_id")
    names.add(name)
    if (told.get("method"), told.get("url")) != ("POST", endpoint):
        return _error("invalid_url", "The URL of this request is not the batch's endpoint.", "url")
    if not isinstance(model, str):
        return _error("missing_required_parameter", "Missing required parameter: 'model'.", "body.model")
    if earlier and model != earlier[0].body["model"]:
        return _error("mismatched_model", "Each batch must contain requests for one model.", "body.model")
    return None


def _error(code: str, message: str, param: str | None = None) -> dict[str, Any]:
    return {"code": code, "message": message, "param": param, "line": None}


def write_line(line: Line, line_id: str, request_id: str) -> dict[str, Any]:
    """One line of an output or error file."""
    result = line.result
    assert result is not None
    shown: dict[str, Any] = {"id": line_id, "custom_id": line.custom_id, "response": None, "error": None}
    if result.kind in UNDONE:
        code, message = UNDONE[result.kind]
        return {**shown, "error": {"code": code, "message": message}}
    response = {"status_code": result.status, "request_id": request_id, "body": result.body}
    return {**shown, "response": response}
