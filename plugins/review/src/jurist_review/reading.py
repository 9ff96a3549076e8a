"""Reads a run directory into plain values; memory does not grow with the length of its files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from jurist.errors import UsageError
from jurist.files.yaml_text import load_yaml
from jurist.records import Trajectory
from jurist.stages.evaluate import Evaluated
from jurist.stages.jury import Judged
from jurist_review import evaluations, jury, trajectories
from jurist_review.curves import Curve, curves
from jurist_review.evaluations import Example
from jurist_review.jury import Jury
from jurist_review.rows import Problems, read_records, read_values
from jurist_review.trajectories import Trajectories


@dataclass
class StageReading:
    """A stage of a run, as far as it came. ``finished``: its summary and its files are complete."""

    number: int
    name: str
    kind: str
    finished: bool
    summary: Mapping[str, Any] = field(default_factory=dict)
    trajectories: Trajectories | None = None
    jury: Jury | None = None
    examples: list[Example] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)


@dataclass
class RunReading:
    """A run: what ran, what it cost, how it ended, and its stages in order."""

    folder: Path
    name: str
    status: str
    seed: object
    note: str
    recipe: str
    versions: Mapping[str, str]
    totals: Mapping[str, Mapping[str, float]]
    stages: list[StageReading]
    problems: list[str]


def read_run(folder: Path) -> RunReading:
    """Everything a report shows of the run in ``folder``.

    Raises:
        UsageError: it is not the directory of a run.
    """
    faults = [f"it has no {name}" for name in ("run.json", "recipe.yaml") if not (folder / name).is_file()]
    if faults:
        raise _not_a_run(folder, " and ".join(faults))
    try:
        state = json.loads((folder / "run.json").read_text(encoding="utf-8"))
        recipe_text = (folder / "recipe.yaml").read_text(encoding="utf-8")
        recipe = load_yaml(recipe_text)
    except (OSError, ValueError, yaml.YAMLError) as error:
        raise _not_a_run(folder, error) from error
    if not isinstance(state, dict) or not isinstance(recipe, dict):
        raise _not_a_run(folder, "run.json and recipe.yaml must each be a mapping")
    problems = Problems()
    stages = _stages(folder, recipe, state, problems)
    return RunReading(
        folder=folder,
        name=str(state.get("name", "run")),
        status=str(state.get("status", "unknown")),
        seed=state.get("seed"),
        note=str(recipe.get("note") or ""),
        recipe=recipe_text,
        versions=state.get("versions", {}),
        totals=state.get("totals", {}),
        stages=stages,
        problems=problems.lines,
    )


def _not_a_run(folder: Path, cause: str | BaseException) -> UsageError:
    return UsageError(
        f"{folder} is not the directory of a run",
        provided_by="jurist-review",
        cause=cause,
        hint="name the directory that 'jurist run' wrote (the one with run.json)",
    )


def _stages(
    folder: Path, recipe: Mapping[str, Any], state: Mapping[str, Any], problems: Problems
) -> list[StageReading]:
    """Every stage of the recipe; only those that run.json calls finished are read as such.

    A folder that it does not name may be left from earlier settings.
    """
    finished = {stage["name"] for stage in state.get("stages", [])}
    found = []
    for number, settings in enumerate(recipe.get("stages", []), 1):
        name = str(settings.get("name") or settings.get("stage"))
        stage = StageReading(number, name, str(settings.get("stage")), finished=name in finished)
        _fill(stage, folder / "stages" / f"{number:02d}-{name}", problems)
        found.append(stage)
    return found


def _fill(stage: StageReading, folder: Path, problems: Problems) -> None:
    """Read the files of a stage: all of a finished one, the metrics of an interrupted training."""
    if not stage.finished:
        if not (folder / "summary.json").exists():
            stage.curves = _curves(folder, problems)
        return
    try:
        stage.summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        problems.add(f"{folder.name}/summary.json could not be read: {error}")
    if stage.kind == "revise":
        rows = read_records(folder / "trajectories.jsonl", Trajectory, problems)
        stage.trajectories = trajectories.summarise(rows)
    elif stage.kind == "compare":
        judged = read_records(folder / "judgments.jsonl", Judged, problems)
        stage.jury = jury.summarise(judged, stage.summary)
    elif stage.kind == "evaluate":
        rows_of_policies = read_records(folder / "responses.jsonl", Evaluated, problems)
        stage.examples = evaluations.examples(rows_of_policies)
    elif stage.kind == "train":
        stage.curves = _curves(folder, problems)


def _curves(folder: Path, problems: Problems) -> list[Curve]:
    """The curves of a training; a trainer without a metrics file has none."""
    path = folder / "metrics.jsonl"
    return curves(read_values(path, problems)) if path.is_file() else []
