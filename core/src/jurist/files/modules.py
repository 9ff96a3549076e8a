"""Modules that users name in recipes: where they lie, without running them."""

from __future__ import annotations

from importlib.machinery import ModuleSpec
from importlib.util import find_spec
from pathlib import Path


def has_module(name: str) -> bool:
    """Whether a process that trains could import ``name``.

    Such a process also finds what lies in the working directory, which the command itself does not.
    """
    return _installed(name) is not None or _beside(name) is not None


def module_file(name: str) -> Path | None:
    """The file of a module's code; None where it has none or is not found."""
    spec = _installed(name)
    if spec is None:
        return _beside(name)
    return Path(spec.origin) if spec.has_location and spec.origin else None


def _installed(name: str) -> ModuleSpec | None:
    try:
        return find_spec(name)
    except (ImportError, ValueError):
        return None


def _beside(name: str) -> Path | None:
    place = Path.cwd().joinpath(*name.split("."))
    return next((file for file in (place.with_suffix(".py"), place / "__init__.py") if file.is_file()), None)
