"""What recipes of several runs differ in, setting by setting."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Change:
    """A setting, and its value in each run as JSON; None where a run has no such setting."""

    setting: str
    values: tuple[str | None, ...]


@dataclass(frozen=True)
class RecipeChanges:
    """The settings that are not the same in all runs, and how many are."""

    changes: tuple[Change, ...]
    same: int


def recipe_changes(recipes: Sequence[Mapping[str, Any]]) -> RecipeChanges:
    """Compare recipes as they ran; a stage is the same stage where it has the same name."""
    flat = [dict(_flat("", recipe)) for recipe in recipes]
    settings = dict.fromkeys(setting for each in flat for setting in each)
    found = [Change(name, tuple(each.get(name) for each in flat)) for name in settings]
    changes = tuple(change for change in found if len(set(map(_meant, set(change.values)))) > 1)
    return RecipeChanges(changes, len(found) - len(changes))


def _flat(prefix: str, value: Any) -> Iterator[tuple[str, str]]:
    """Every setting under its dotted name."""
    if isinstance(value, dict) and value:
        for name, each in value.items():
            yield from _flat(f"{prefix}.{name}" if prefix else str(name), each)
    elif isinstance(value, list) and any(isinstance(each, dict) for each in value):
        names = [_named(each) or str(number) for number, each in enumerate(value)]
        for number, (name, each) in enumerate(zip(names, value, strict=True)):
            place = f"{name}-{number}" if names.count(name) > 1 else name
            yield from _flat(f"{prefix}.{place}", each)
    elif value is not None:  # null is as good as not set
        yield prefix, json.dumps(value, ensure_ascii=False)


def _meant(text: str | None) -> str | float | None:
    """What a value means to whoever reads it: ``1`` is ``1.0``, and ``"3e-4"``, a text to YAML, a number."""
    try:
        return text if text is None else float(text.strip('"'))
    except ValueError:
        return text


def _named(element: Any) -> str:
    """What tells an element of a list from the others: a stage, a principle, a judge."""
    if not isinstance(element, dict):
        return ""
    return str(element.get("name") or element.get("stage") or element.get("use") or "")
