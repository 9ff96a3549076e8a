"""Responses that a policy gave while it was trained, as ``samples.jsonl`` has them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from itertools import islice
from typing import Any

_EACH = 8


def first_and_last(rows: Iterable[Mapping[str, Any]]) -> list[Mapping[str, Any]]:
    """The first and the last rows."""
    source = iter(rows)
    first = list(islice(source, _EACH))
    return [shown(row) for row in (*first, *deque(source, maxlen=_EACH))]


def shown(row: Mapping[str, Any]) -> Mapping[str, Any]:
    """A row with the last message of its prompt as its prompt."""
    turns = row.get("prompt")
    last = turns[-1] if isinstance(turns, list) and turns else None
    prompt = last.get("content") if isinstance(last, Mapping) else turns
    reward = row.get("reward")
    return {
        "step": row.get("step"),
        "prompt": str(prompt),
        "response": str(row.get("response")),
        "reward": reward if isinstance(reward, int | float) else None,
    }
