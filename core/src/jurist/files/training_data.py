"""Training data: the rows that trainers learn from, and how they are read from files that people keep."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BeforeValidator, ConfigDict, Field

from jurist.errors import UsageError
from jurist.files.jsonl import read_rows
from jurist.files.row_faults import RowFaults
from jurist.records import Message, Record, Role

Conversation = tuple[Message, ...]


def _as_turn_of(role: Role) -> Callable[[Any], Any]:
    def turn(value: Any) -> Any:
        return [{"role": role, "content": value}] if isinstance(value, str) else value

    return turn


def _asks(turns: Conversation) -> Conversation:
    if not turns or turns[-1].role != "user":
        raise ValueError("must end with a message of the user")
    return turns


def _answers(turns: Conversation) -> Conversation:
    """All of it is learnt, so what others say in it would be learnt too."""
    if not turns or any(turn.role != "assistant" for turn in turns):
        raise ValueError("must be messages of the assistant alone; what was said before belongs to 'prompt'")
    return turns


Asked = Annotated[
    Conversation,
    BeforeValidator(_as_turn_of("user")),
    AfterValidator(_asks),
]
"""A conversation that waits for an answer; a text is one message of the user."""

Answered = Annotated[
    Conversation,
    BeforeValidator(_as_turn_of("assistant")),
    AfterValidator(_answers),
]
"""What answers it; a text is one message of the assistant."""


class TrainingRow(Record):
    """What every row has. Other columns are left alone."""

    model_config = ConfigDict(extra="ignore")

    prompt: Asked


class RevisionRow(TrainingRow):
    """A prompt and what the policy should answer."""

    completion: Answered


class PreferenceRow(TrainingRow):
    """A prompt and two responses; ``probability`` is P(chosen is better), 1 where none is given.

    ``margin`` is by how much the reward of the chosen one should be higher (arXiv 2307.09288, section 3.2.2).
    """

    chosen: Answered
    rejected: Answered
    probability: float = Field(default=1.0, ge=0, le=1)
    margin: float = Field(default=0.0, ge=0)


ROWS: Mapping[str, type[TrainingRow]] = MappingProxyType(
    {"revisions": RevisionRow, "preferences": PreferenceRow}
)
"""What a trainer consumes → a row of it."""

RowT = TypeVar("RowT", bound=TrainingRow)


def read_training_data(path: Path, kind: type[RowT]) -> list[RowT]:
    """All rows of a JSONL file; the same row twice counts twice.

    Raises:
        UsageError: the file is missing or empty, or rows are faulty; lists them by line.
    """

    def checked(row: Any) -> RowT:
        if isinstance(row, ValueError):
            raise row
        try:
            json.dumps(row, ensure_ascii=False).encode()
        except UnicodeEncodeError:  # JSON can write half of an emoji, which no tokenizer takes
            raise ValueError("holds half a character (a lone surrogate)") from None
        return kind.model_validate(row)

    faults = RowFaults(path, kind.model_fields)
    rows = [faults.of(number, row, checked) for number, row in read_rows(path)]
    faults.raise_if_any()
    if not rows:
        raise UsageError(f"{path} holds nothing to train on")
    return [row for row in rows if row is not None]
