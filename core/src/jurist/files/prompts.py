"""Reading prompts and comparisons from files; every faulty row is reported before anything is spent."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

from jurist.files.record_file import RecordFile
from jurist.near_names import guess
from jurist.records import Comparison, Message, Prompt, Response

_FIELDS = frozenset({"prompt", "messages", "tags", "metadata", "response_a", "response_b"})
"""The fields of rows that mean something; others are passed over."""


def load_prompts(
    path: Path, *, keep: Callable[[Prompt], bool] = lambda prompt: True, limit: int | None = None
) -> RecordFile[Prompt]:
    """The prompts of a JSONL file, duplicates (the same messages) left out; read anew whenever gone through.

    A row is a string, or an object with ``prompt`` (a string or chat messages) or ``messages``, and
    optional ``tags`` and ``metadata``. ``limit`` takes the first of those that ``keep`` keeps.

    Raises:
        UsageError: the file is missing or empty, or rows are faulty; lists them by line.
    """
    return RecordFile(path, _prompt, "prompts", keep=keep, limit=limit)


def load_comparisons(
    path: Path, *, keep: Callable[[Comparison], bool] = lambda comparison: True
) -> RecordFile[Comparison]:
    """The comparisons of a JSONL file: ``prompt``, ``response_a``, ``response_b``, optional ``tags``.

    Raises:
        UsageError: the file is missing or empty, or rows are faulty; lists them by line.
    """
    return RecordFile(path, _comparison, "comparisons", keep=keep)


def selected(prompt: Prompt, tags: Collection[str], without_tags: Collection[str]) -> bool:
    """Whether a prompt has any of ``tags`` (when there are some) and none of ``without_tags``."""
    wanted = not tags or any(tag in tags for tag in prompt.tags)
    return wanted and not any(tag in without_tags for tag in prompt.tags)


def in_part(prompt: Prompt, part: tuple[int, int] | None) -> bool:
    """Whether a prompt is in the k-th of n parts, given as (k, n); of no part, it always is."""
    return part is None or int(prompt.id, 16) % part[1] == part[0] - 1


def _prompt(row: Any) -> Prompt:
    if isinstance(row, str):
        row = {"prompt": row}
    if not isinstance(row, Mapping):
        raise ValueError("a row is a string or an object")
    messages = read_messages(_field(row, "messages" if "messages" in row else "prompt"))
    return Prompt(messages=messages, tags=_tags(row), metadata=row.get("metadata") or {})


def _comparison(row: Any) -> Comparison:
    if not isinstance(row, Mapping):
        raise ValueError("a row is an object with prompt, response_a and response_b")
    prompt = _field(row, "prompt")
    if isinstance(prompt, Mapping):
        prompt = prompt.get("messages")
    return Comparison(
        prompt=Prompt(messages=read_messages(prompt), tags=_tags(row)),
        response_a=_response(row, "response_a"),
        response_b=_response(row, "response_b"),
    )


def read_messages(value: Any) -> tuple[Message, ...]:
    """The messages of a prompt as files have it: a text, or chat messages of which the user's is the last.

    Raises:
        ValueError: it is something else, or has no text.
    """
    if isinstance(value, str):
        value = [{"role": "user", "content": value}]
    if not isinstance(value, list) or not value:
        raise ValueError("'prompt' must be a text or a list of messages")
    messages = tuple(Message.model_validate(message) for message in value)
    if not any(message.content.strip() for message in messages if message.role == "user"):
        raise ValueError("the prompt is empty")
    if messages[-1].role != "user":
        raise ValueError(f"the prompt ends with the {messages[-1].role}'s turn; it must end with the user's")
    return messages


def _field(row: Mapping[str, Any], name: str) -> Any:
    """The value of a field that every row has."""
    if name not in row:
        raise ValueError(f"'{name}' is not given{guess(name, row.keys() - _FIELDS)}")
    return row[name]


def _tags(row: Mapping[str, Any]) -> tuple[str, ...]:
    tags = row.get("tags") or ()
    if isinstance(tags, str) or not all(isinstance(tag, str) for tag in tags):
        raise ValueError("'tags' must be a list of texts")
    return tuple(tags)


def _response(row: Mapping[str, Any], name: str) -> Response:
    value = _field(row, name)
    if isinstance(value, Mapping):
        value = value.get("text")
    if not isinstance(value, str):
        raise ValueError(f"'{name}' must be a text")
    return Response(text=value)
