"""Reads a run directory into plain values; memory does not grow with the length of its files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jurist.planning.plan import Plan
from jurist.records import NO_USAGE, Trajectory, Usage, content_id
from jurist.run_files import LEDGER, RunFiles
from jurist.stage_records import Candidates, Evaluated, Judged
from jurist.validation.drift import Drift
from jurist.validation.labelled import LabelledItem
from jurist.validation.spot_check_result import SpotChecked
from jurist_review import candidates, evaluations, jury, trajectories
from jurist_review.browsing import BYTES, Browser, room_for
from jurist_review.calibration import Reliability, of_trainer
from jurist_review.candidates import BestOf
from jurist_review.curves import Curve, curves
from jurist_review.evaluations import Example
from jurist_review.jury import Jury
from jurist_review.rows import Problems, read_records, read_values
from jurist_review.samples import first_and_last
from jurist_review.spending import read_spending
from jurist_review.trajectories import Trajectories
from jurist_review.validations import ValidationReading, read_drift, read_record, read_validation

_BROWSED = {
    "revise": ("trajectories.jsonl", "trajectories", "Revisions"),
    "best_of": ("candidates.jsonl", "prompts", "Gain"),
    "compare": ("judgments.jsonl", "comparisons", "P(A)"),
}
"""Stages whose rows can all be gone through: their file, what its rows are, and the name of a column."""


@dataclass
class StageReading:
    """A stage of a run, as far as it came. ``finished``: its summary and its files are complete."""

    number: int
    name: str
    kind: str
    folder: Path
    finished: bool
    summary: Mapping[str, Any] = field(default_factory=dict)
    trajectories: Trajectories | None = None
    jury: Jury | None = None
    best_of: BestOf | None = None
    browser: Browser | None = None
    spot_check: SpotChecked | None = None
    validation: ValidationReading | None = None
    drift: Drift | None = None
    examples: list[Example] = field(default_factory=list)
    curves: list[Curve] = field(default_factory=list)
    warnings: list[tuple[object, str]] = field(default_factory=list)
    samples: list[Mapping[str, Any]] = field(default_factory=list)
    reliability: Reliability | None = None


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
    served: Mapping[str, Mapping[str, int]]
    settings: Mapping[str, Any]
    failed_tries: Usage
    plan: Plan | None
    stages: list[StageReading]
    problems: list[str]


def read_run(folder: Path, browsed: int = BYTES) -> RunReading:
    """Everything a report shows of the run in ``folder``; ``browsed`` are bytes for what can be gone through.

    Raises:
        UsageError: it is not the folder of a run.
    """
    files = RunFiles.read(folder)
    problems = Problems()
    # A folder that run.json does not name may be left from earlier settings: it is not read as finished.
    stages = [StageReading(s.number, s.name, s.kind, s.folder, s.finished) for s in files.stages()]
    room = room_for({stage.name: size for stage in stages if (size := _size(stage))}, browsed)
    for stage in stages:
        _fill(stage, room.get(stage.name, 0), problems)
    return RunReading(
        folder=folder,
        name=str(files.state.get("name", "run")),
        status=str(files.state.get("status", "unknown")),
        seed=files.state.get("seed"),
        note=str(files.recipe.get("note") or ""),
        recipe=files.recipe_text,
        versions=files.state.get("versions", {}),
        totals=files.state.get("totals", {}),
        served=files.state.get("served", {}),
        settings=files.recipe,
        failed_tries=_failed_tries(folder, problems),
        plan=_plan(files, problems),
        stages=stages,
        problems=problems.lines,
    )


def _failed_tries(folder: Path, problems: Problems) -> Usage:
    spending = read_spending(folder)
    if spending is None:
        problems.add(f"{LEDGER}: could not be read, so what failed tries cost is not told")
        return NO_USAGE
    return spending.failed


def _plan(files: RunFiles, problems: Problems) -> Plan | None:
    """What ``jurist plan`` left in the folder, if it is of the settings that ran."""
    plan = read_record(files.folder / "plan.json", Plan, problems)
    return plan if plan is not None and plan.settings == content_id(files.recipe) else None


def _size(stage: StageReading) -> int:
    """The bytes of the file that can be gone through; 0 where there is none."""
    if not stage.finished or stage.kind not in _BROWSED:
        return 0
    path = stage.folder / _BROWSED[stage.kind][0]
    return path.stat().st_size if path.is_file() else 0


def _fill(stage: StageReading, browsed: int, problems: Problems) -> None:
    """Read the files of a stage: all of a finished one, of an interrupted one what it has so far."""
    folder = stage.folder
    if not stage.finished:
        if not (folder / "summary.json").exists():
            _read_training(stage, problems)
            stage.drift = read_drift(folder, problems)
        return
    try:
        stage.summary = json.loads((folder / "summary.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        problems.add(f"{folder.name}/summary.json could not be read: {error}")
    if stage.kind in _BROWSED:
        file, noun, value_name = _BROWSED[stage.kind]
        stage.browser = Browser(browsed, noun, value_name)
        _read_browsed(stage, folder / file, stage.browser, problems)
    elif stage.kind == "evaluate":
        rows_of_policies = read_records(folder / "responses.jsonl", Evaluated, problems)
        stage.examples = evaluations.examples(rows_of_policies)
    elif stage.kind == "validate":
        stage.validation, stage.drift = read_validation(folder, problems), read_drift(folder, problems)
        stage.jury = jury.summarise((), stage.summary, {}, Browser(0, "", ""))
    elif stage.kind == "train":
        _read_training(stage, problems)


def _read_browsed(stage: StageReading, path: Path, browser: Browser, problems: Problems) -> None:
    """Read the stages that have a row for everything they did."""
    folder = stage.folder
    if stage.kind == "revise":
        stage.trajectories = trajectories.summarise(read_records(path, Trajectory, problems), browser)
    elif stage.kind == "best_of":
        stage.best_of = candidates.summarise(read_records(path, Candidates, problems), browser)
    else:
        labelled, labels = folder / "human_labels.jsonl", {}
        if labelled.is_file():
            labels = {item.item: item.label for item in read_records(labelled, LabelledItem, problems)}
        judged = read_records(path, Judged, problems)
        stage.jury = jury.summarise(judged, stage.summary, labels, browser)
        stage.spot_check = read_record(folder / "spot_check.json", SpotChecked, problems)


def _read_training(stage: StageReading, problems: Problems) -> None:
    """The curves, warnings and calibration of a training; a trainer without such files has none."""
    stage.reliability = of_trainer(stage.folder, stage.name, problems)
    metrics, warnings = stage.folder / "metrics.jsonl", stage.folder / "warnings.jsonl"
    if metrics.is_file():
        stage.curves = curves(read_values(metrics, problems))
    samples = stage.folder / "samples.jsonl"
    if samples.is_file():
        stage.samples = first_and_last(read_values(samples, problems))
    if warnings.is_file():
        rows = read_values(warnings, problems)
        stage.warnings = [(row.get("step"), str(row.get("warning"))) for row in rows]
