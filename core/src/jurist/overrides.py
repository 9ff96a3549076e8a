"""Overrides: single settings of a recipe that are given on the command line."""

from __future__ import annotations

from typing import Any

import yaml

from jurist.errors import UsageError
from jurist.files.yaml_text import load_yaml


def apply_override(data: dict[str, Any], override: str) -> None:
    """Apply ``a.b=value`` in place; a stage is addressed by its name or its number from 0."""
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
        target[_index(target, last, override)] = value
    else:
        target[last] = value


def _step_into(target: Any, part: str, override: str) -> Any:
    if isinstance(target, list):
        index = _index(target, part, override)
        target[index] = dict(target[index])
        return target[index]
    child = target.get(part)
    if isinstance(child, str):
        child = {"path": child} if part == "prompts" else {"use": child}
    target[part] = list(child) if isinstance(child, (list, tuple)) else dict(child or {})
    return target[part]


def _index(items: list[Any], part: str, override: str) -> int:
    names = [str(item.get("name") or item.get("stage")) if isinstance(item, dict) else "" for item in items]
    if part in names:
        return names.index(part)
    if part.isdigit() and int(part) < len(items):
        return int(part)
    raise UsageError(f"--set {override}: there is no '{part}'", cause=f"known: {', '.join(names)}")
