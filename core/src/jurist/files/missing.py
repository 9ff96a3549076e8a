"""What to try where a file that somebody names is not there."""

from __future__ import annotations

from pathlib import Path

from jurist.near_names import nearest


def missing_hint(path: Path) -> str | None:
    """The file of the same folder that may be meant, and where relative paths begin; None if it is there."""
    if path.exists():
        return None
    near = _near_file(path)
    said = [f"did you mean '{near}'?"] if near else []
    if not path.is_absolute():
        said.append(f"a relative path is taken from the working directory, {Path.cwd()}")
    return " ".join(said) or None


def _near_file(path: Path) -> Path | None:
    """Stems are compared, since files of one folder often have the same ending."""
    try:
        files = [each for each in path.parent.iterdir() if each.is_file()]
    except OSError:
        return None
    stem = nearest(path.stem, {each.stem for each in files})
    name = nearest(path.name, (each.name for each in files if each.stem == stem), cutoff=0)
    return path.with_name(name) if name else None
