"""Reads training examples: JSON lines in conversational form, all faults reported at once."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, Field, ValidationError

from jurist.errors import UsageError
from jurist.options import faults_of
from jurist.records import Message

MAX_FAULTS = 20

Conversation = tuple[Message, ...]


class Example(BaseModel):
    """What every example has; other columns are provenance and are left alone."""

    prompt: Conversation = Field(min_length=1)


class Revision(Example):
    """A prompt and the text the policy should write."""

    completion: Conversation = Field(min_length=1)


class PreferencePair(Example):
    """A prompt and two responses; ``probability`` is P(chosen is better), 1 when not given.

    ``margin`` is how far apart a reward model should score them at least.
    """

    chosen: Conversation = Field(min_length=1)
    rejected: Conversation = Field(min_length=1)
    probability: float = Field(default=1.0, ge=0, le=1)
    margin: float = Field(default=0.0, ge=0)


AnyExample = TypeVar("AnyExample", bound=Example)


def read_examples(path: Path, kind: type[AnyExample]) -> list[AnyExample]:
    """All examples of the file ``path``.

    Raises:
        UsageError: the file is missing or empty, or lines of it are wrong; lists them by number.
    """
    if not path.is_file():
        raise UsageError(f"training data not found: {path}", hint="check the path, or run the stage before")
    examples: list[AnyExample] = []
    faults: list[str] = []
    for where, text in _lines(path):
        try:
            examples.append(kind.model_validate(json.loads(text)))
        except json.JSONDecodeError as error:
            faults.append(f"{where}: not JSON: {error}")
        except ValidationError as error:
            faults.extend(faults_of(error, kind.model_fields, where))
    if len(faults) > MAX_FAULTS:
        faults = [*faults[:MAX_FAULTS], f"and {len(faults) - MAX_FAULTS} more"]
    if faults:
        raise UsageError.of_faults(f"training data {path}", faults, hint="correct these lines and run again")
    if not examples:
        raise UsageError(f"training data {path} has no examples", hint="see the summary of the stage before")
    return examples


def messages(conversation: Conversation) -> list[dict[str, str]]:
    """A conversation as ``datasets``, TRL and chat templates want it."""
    return [{"role": turn.role, "content": turn.content} for turn in conversation]


def _lines(path: Path) -> Iterator[tuple[str, str]]:
    with path.open(encoding="utf-8") as file:
        for number, text in enumerate(file, start=1):
            if text.strip():
                yield f"{path.name}:{number}", text
