"""The directory of a run: what is in it, and what an earlier attempt left there."""

from __future__ import annotations

import glob
import json
from contextlib import suppress
from dataclasses import dataclass, field
from functools import lru_cache
from importlib.metadata import PackageNotFoundError, entry_points, version
from pathlib import Path
from typing import Any

import yaml

from jurist.artifacts import Artifacts, StageArtifact
from jurist.files.jsonl import unwritable, write_json, write_lines
from jurist.recipe import Recipe
from jurist.run_files import RECIPE, STAGES, STATE

_WATCHED = (
    *("torch", "transformers", "trl", "accelerate", "litellm", "openai", "anthropic", "aiohttp"),
    *("pydantic", "pluggy"),
)
"""Distributions whose version can change what a run makes."""


_MARKER = "fingerprint"
"""The file of a stage that says which settings and inputs it is of."""


@dataclass(frozen=True)
class StageRecord:
    """A finished stage: its folder and its ``summary.json``. ``skipped``: it was finished before."""

    name: str
    folder: Path
    summary: dict[str, Any]
    skipped: bool


@dataclass
class Run:
    """A run: its recipe, its directory, the stages finished so far, what they cost and who answered."""

    recipe: Recipe
    folder: Path
    status: str = "running"
    stages: list[StageRecord] = field(default_factory=list)
    totals: dict[str, Any] = field(default_factory=dict)
    served: dict[str, dict[str, int]] = field(default_factory=dict)
    artifacts: Artifacts = field(default_factory=Artifacts)


def make_directory(folder: Path) -> None:
    """Make the folder of a run."""
    try:
        (folder / STAGES).mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise unwritable(folder, error) from error


def write_recipe(run: Run) -> None:
    """Write ``recipe.yaml``: every setting, with ``${NAME}`` as it stands."""
    with write_lines(run.folder / RECIPE) as lines:
        data = run.recipe.model_dump(mode="json")
        lines.write(yaml.safe_dump(data, sort_keys=False, allow_unicode=True).rstrip())


def exchange_stage(folder: Path, fingerprint: str) -> Path | None:
    """See to it that ``folder`` holds what an earlier attempt with the same inputs made, or nothing.

    What other settings made is moved aside rather than deleted, since it may have been expensive, and moved
    back when the settings are as they were. Gives the folder that it was moved to.
    """
    moved = None
    try:
        if folder.exists() and _marked(folder) != fingerprint:
            moved = _unused(folder.with_name(f"{folder.name}.{_marked(folder)[:8] or 'unknown'}"))
            folder.rename(moved)
        aside = sorted(folder.parent.glob(f"{glob.escape(folder.name)}.*"))
        earlier = [each for each in aside if _marked(each) == fingerprint]
        if earlier and not folder.exists():
            earlier[-1].rename(folder)
    except OSError as error:
        raise unwritable(folder, error) from error
    return moved


def begin_stage(folder: Path, fingerprint: str) -> None:
    """A folder for the stage, with what an earlier attempt has left there."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / _MARKER).write_text(fingerprint)
    except OSError as error:
        raise unwritable(folder, error) from error


def _marked(folder: Path) -> str:
    """The fingerprint of what a stage's folder holds; empty where none is written down."""
    marker = folder / _MARKER
    return marker.read_text() if marker.is_file() else ""


def _unused(path: Path) -> Path:
    number, free = 1, path
    while free.exists():
        number += 1
        free = path.with_name(f"{path.name}.{number}")
    return free


def finished_stage(folder: Path, name: str, fingerprint: str) -> StageRecord | None:
    """The stage as an earlier attempt finished it, if settings and inputs are the same."""
    try:
        summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError):
        return None
    # A stage in which calls were given up is done again: what was answered comes from the ledger.
    if summary.get("fingerprint") != fingerprint or summary.get("given_up"):
        return None
    return StageRecord(name, folder, summary, skipped=True)


def relative_artifact(artifact: StageArtifact, folder: Path) -> dict[str, Any]:
    """The artifact with its path relative to the stage, so that a run directory can be moved."""
    assert artifact.path is not None
    return {**artifact.model_dump(mode="json"), "path": str(artifact.path.relative_to(folder))}


def stage_artifact(record: StageRecord) -> StageArtifact | None:
    """What a finished stage hands on, with its path where the run directory is now."""
    if "artifact" not in record.summary:
        return None
    artifact = StageArtifact.model_validate(record.summary["artifact"])
    path = record.folder / str(artifact.path)
    component = artifact.component and {**artifact.component, "model": str(path)}
    return artifact.model_copy(update={"path": path, "component": component})


def write_state(run: Run) -> None:
    """Write ``run.json``: status, versions, seed, stages and totals."""
    write_json(
        run.folder / STATE,
        {
            "name": run.recipe.name,
            "status": run.status,
            "seed": run.recipe.seed,
            "versions": _versions(),
            "stages": [{"name": stage.name, "folder": stage.folder.name} for stage in run.stages],
            "totals": run.totals,
            "served": run.served,
        },
    )


@lru_cache(maxsize=1)
def _versions() -> dict[str, str]:
    """Versions of Jurist, its plugins, and what trains and calls."""
    plugins = {entry.dist.name for entry in entry_points(group="jurist") if entry.dist is not None}
    found = {}
    for name in {"jurist", "jurist-core", "jurist-registry", *plugins, *_WATCHED}:
        with suppress(PackageNotFoundError):
            found[name.lower()] = version(name)
    return dict(sorted(found.items()))
