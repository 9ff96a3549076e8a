"""The constitution: the written principles that critics, judges and filters go by."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from jurist.records import Record


class Check(Record):
    """A test of a response that needs no model; every given part must hold.

    ``forbid`` and ``require`` are phrases (case and width are ignored); the patterns are Python regular
    expressions searched in the text; lengths are in characters.
    """

    forbid: tuple[str, ...] = ()
    require: tuple[str, ...] = ()
    forbid_pattern: str | None = None
    require_pattern: str | None = None
    min_length: int | None = None
    max_length: int | None = None


class Principle(Record):
    """One rule.

    ``critique``, ``revision`` and ``comparison`` replace the wording that is otherwise derived from
    ``description`` when the model is asked to criticise, to revise or to compare. ``hard``: a response
    that violates it can never be preferred over one that does not (the constitution filter).
    """

    name: str = Field(min_length=1)
    description: str = Field(min_length=1)
    example: str | None = None
    critique: str | None = None
    revision: str | None = None
    comparison: str | None = None
    tags: tuple[str, ...] = ()
    weight: float = Field(default=1.0, gt=0)
    hard: bool = False
    checks: tuple[Check, ...] = ()


class Constitution(Record):
    """A named list of principles in one language. Names of principles are unique."""

    name: str
    language: Literal["en", "zh"] = "en"
    principles: tuple[Principle, ...] = Field(min_length=1)
