"""Fingerprints of the files that settings point to, so that a changed input is noticed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from jurist.records import content_id


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def settings_fingerprint(settings: Any) -> str:
    """Changes with the settings and with every local file or folder that they name.

    Files count by content. Folders (checkpoints, too large to read for this) count by the names,
    sizes and times of the files in them.
    """
    return content_id(settings, [[str(path), _state(path)] for path in sorted(set(_paths(settings)))])


def _paths(settings: Any) -> Iterator[Path]:
    if isinstance(settings, Mapping):
        settings = list(settings.values())
    if isinstance(settings, (list, tuple)):
        for value in settings:
            yield from _paths(value)
    elif isinstance(settings, str) and 0 < len(settings) < 1024 and "\0" not in settings:
        path = Path(settings)
        if path.is_file() or path.is_dir():
            yield path


def _state(path: Path) -> Any:
    if path.is_file():
        return file_digest(path)
    files = sorted(file for file in path.iterdir() if file.is_file())
    return [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]
