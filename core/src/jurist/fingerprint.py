"""Fingerprints of the files that settings point to, so that a changed input is noticed."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from os.path import isdir, isfile  # False of what can be no path, a long text among them
from pathlib import Path
from typing import Any

from jurist.records import content_id


def file_digest(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def settings_fingerprint(settings: Any, paths: Iterable[Path]) -> str:
    """Changes with the settings and with every local file or folder among ``paths``, which they name.

    Files count by content. Folders (checkpoints, too large to read for this) count by the names,
    sizes and times of the files in them.
    """
    here = sorted(path for path in set(paths) if isfile(path) or isdir(path))
    return content_id(settings, [[str(path), _state(path)] for path in here])


def _state(path: Path) -> Any:
    if path.is_file():
        return file_digest(path)
    files = sorted(file for file in path.iterdir() if file.is_file())
    return [[file.name, file.stat().st_size, file.stat().st_mtime_ns] for file in files]
