"""Reading prompts and comparisons from files; every faulty row is reported before anything is spent."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, TypeVar

from pydantic import ValidationError

from jurist.errors import UsageError
from jurist.jsonl import read_rows
from jurist.options import fault_line
from jurist.records import Comparison, Message, Prompt, Record, Response

RecordT = TypeVar("RecordT", bound=Record)

_SHOWN = 20
"""How many faulty rows an error lists one by one; the rest are counted."""


def load_prompts(path: Path) -> list[Prompt]:
    """The prompts of a JSONL file, duplicates (the same messages) left out.

    A row is a string, or an object with ``prompt`` (a string or chat messages) or ``messages``, and
    optional ``tags`` and ``metadata``.

    Raises:
        UsageError: the file is missing or empty, or rows are faulty; lists them by line.
    """
    prompts = _load(path, _prompt, "prompts")
    return list({prompt.id: prompt for prompt in prompts}.values())


def load_comparisons(path: Path) -> list[Comparison]:
    """The comparisons of a JSONL file: ``prompt``, ``response_a``, ``response_b``, optional ``tags``.

    Raises:
        UsageError: the file is missing or empty, or rows are faulty; lists them by line.
    """
    comparisons = _load(path, _comparison, "comparisons")
    return list({comparison.id: comparison for comparison in comparisons}.values())


def select(prompts: Iterable[Prompt], tags: Iterable[str], without_tags: Iterable[str]) -> list[Prompt]:
    """Those with any of ``tags`` (all, when it is empty) and none of ``without_tags``."""
    wanted, unwanted = set(tags), set(without_tags)
    return [
        prompt
        for prompt in prompts
        if (not wanted or wanted & set(prompt.tags)) and not unwanted & set(prompt.tags)
    ]


def _load(path: Path, parse: Callable[[Any], RecordT], noun: str) -> list[RecordT]:
    records: list[RecordT] = []
    faults: list[str] = []
    for number, row in read_rows(path):
        try:
            if isinstance(row, ValueError):
                raise row
            _check_characters(row)
            records.append(parse(row))
        except ValidationError as error:
            faults += [fault_line(e, (), f"{path.name}:{number}") for e in error.errors()]
        except ValueError as error:
            faults.append(f"{path.name}:{number}: {error}")
    if len(faults) > _SHOWN:
        faults = [*faults[:_SHOWN], f"… and {len(faults) - _SHOWN} more"]
    if faults:
        raise UsageError.of_faults(str(path), faults)
    if not records:
        raise UsageError(f"{path} holds no {noun}")
    return records


def _check_characters(row: Any) -> None:
    """JSON can write half of an emoji, which can then be neither sent nor stored."""
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        raise ValueError("holds half a character (a lone surrogate)") from None


def _prompt(row: Any) -> Prompt:
    if isinstance(row, str):
        row = {"prompt": row}
    if not isinstance(row, Mapping):
        raise ValueError("a row is a string or an object")
    messages = _messages(row.get("messages", row.get("prompt")))
    return Prompt(messages=messages, tags=_tags(row), metadata=row.get("metadata") or {})


def _comparison(row: Any) -> Comparison:
    if not isinstance(row, Mapping):
        raise ValueError("a row is an object with prompt, response_a and response_b")
    prompt = row.get("prompt")
    if isinstance(prompt, Mapping):
        prompt = prompt.get("messages")
    return Comparison(
        prompt=Prompt(messages=_messages(prompt), tags=_tags(row)),
        response_a=_response(row, "response_a"),
        response_b=_response(row, "response_b"),
    )


def _messages(value: Any) -> tuple[Message, ...]:
    if isinstance(value, str):
        value = [{"role": "user", "content": value}]
    if not isinstance(value, list) or not value:
        raise ValueError("'prompt' must be a text or a list of messages")
    messages = tuple(Message.model_validate(message) for message in value)
    if not any(message.content.strip() for message in messages if message.role == "user"):
        raise ValueError("the prompt is empty")
    if messages[-1].role == "assistant":
        raise ValueError("the prompt ends with the assistant's turn; it must end with the user's")
    return messages


def _tags(row: Mapping[str, Any]) -> tuple[str, ...]:
    tags = row.get("tags") or ()
    if isinstance(tags, str) or not all(isinstance(tag, str) for tag in tags):
        raise ValueError("'tags' must be a list of texts")
    return tuple(tags)


def _response(row: Mapping[str, Any], name: str) -> Response:
    value = row.get(name)
    if isinstance(value, Mapping):
        value = value.get("text")
    if not isinstance(value, str):
        raise ValueError(f"'{name}' must be a text")
    return Response(text=value)
