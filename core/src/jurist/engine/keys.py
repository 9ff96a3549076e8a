"""Keys: what a call asks, as the name of its reply in the ledger."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from pydantic_core import PydanticSerializationError

from jurist.engine.replies import storable
from jurist.records import Comparison, Outcome, Prompt, Record, canonical_json

_SEPARATOR = b"\x1f"
_PROVENANCE = {"source", "usage"}
_IN_COMPARISON = dict.fromkeys(("response_a", "response_b", "critique_a", "critique_b"), _PROVENANCE)


def call_key(asked_of: bytes, method: str, arguments: tuple[Any, ...]) -> tuple[str, tuple[Any, ...]]:
    """The key of a call (who is asked, by which method, and what), and the arguments to call it with.

    These are the given ones, but with U+FFFD for each half of a character (a text cut inside an emoji), which
    neither providers nor tokenizers take.
    """
    try:
        asked = [asked_of, method.encode(), *map(_plain, arguments)]
    except PydanticSerializationError:
        return call_key(asked_of, method, _mended(arguments))
    return hashlib.sha256(_SEPARATOR.join(asked)).hexdigest()[:32], arguments


def _plain(argument: Any) -> bytes:
    """What an argument asks, without who gave it and what that cost.

    Fields are written in the order in which they are declared, so records need no sorting.
    """
    if isinstance(argument, Comparison):
        prompt = _ordered(argument.prompt)
        return _json(argument.model_copy(update={"prompt": prompt}), _IN_COMPARISON)
    if isinstance(argument, Prompt):
        return _json(_ordered(argument), None)
    if isinstance(argument, Outcome):
        return _json(argument, _PROVENANCE)
    if isinstance(argument, Record):
        return _json(argument, None)
    return _SEPARATOR.join([_plain(part) for part in argument])


def _ordered(prompt: Prompt) -> Prompt:
    """The prompt with its metadata sorted by name: their order in a file asks nothing else."""
    if not prompt.metadata:
        return prompt
    return prompt.model_copy(update={"metadata": json.loads(canonical_json(prompt.metadata))})


def _json(record: Record, exclude: Any) -> bytes:
    return record.model_dump_json(exclude=exclude).encode()


def _mended(argument: Any) -> Any:
    if isinstance(argument, Record):
        return storable(argument, type(argument).model_validate_json)[0]
    return tuple(map(_mended, argument))
