"""Overrides: single settings of a recipe that are given on the command line."""

from __future__ import annotations

from typing import Any

import yaml

from jurist.errors import UsageError
from jurist.files.yaml_text import load_yaml
from jurist.near_names import guess
from jurist.rounds import called, is_block


def apply_override(data: dict[str, Any], override: str) -> None:
    """Apply ``a.b=value`` in place; a stage is addressed by its name or its number from 0.

    A stage in a block of rounds has the name that it has there, and is changed in all rounds.
    """
    path, equals, text = override.partition("=")
    if not equals or not path:
        raise UsageError(f"--set {override}: write it as a.b=value")
    target: Any = data
    *parents, last = path.split(".")
    for part in parents:
        target = _step_into(target, part, override)
    try:
        value = load_yaml(text)
    except yaml.YAMLError as error:
        raise UsageError(f"--set {override}: the value is not valid YAML", cause=error) from error
    if isinstance(target, list):
        items, index = _found(target, last, override)
        items[index] = value
    else:
        target[last] = value


def _step_into(target: Any, part: str, override: str) -> Any:
    if isinstance(target, list):
        items, index = _found(target, part, override)
        items[index] = dict(items[index])
        return items[index]
    child = target.get(part)
    if isinstance(child, str):
        child = {"path": child} if part == "prompts" else {"use": child}
    target[part] = list(child) if isinstance(child, (list, tuple)) else dict(child or {})
    return target[part]


def _found(items: list[Any], part: str, override: str) -> tuple[list[Any], int]:
    """The list that holds an item, and its place there: a stage may be in a block of rounds."""
    names = [called(item) for item in items]
    if part in names:
        return items, names.index(part)
    if part.isdigit() and int(part) < len(items):
        return items, int(part)
    for number, block in enumerate(items):
        if is_block(block) and isinstance(block.get("stages"), (list, tuple)):
            inside = [called(stage) for stage in block["stages"]]
            if part in inside:
                items[number] = {**block, "stages": list(block["stages"])}
                return items[number]["stages"], inside.index(part)
            names += inside
    named = [name for name in names if name]
    numbers = "the number 0" if len(items) == 1 else f"the numbers 0 to {len(items) - 1}" if items else "none"
    known = ", ".join([*named, numbers])
    raise UsageError(
        f"--set {override}: there is no '{part}'{guess(part, named)}",
        cause=f"known: {known}",
    )
