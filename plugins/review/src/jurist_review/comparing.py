"""Several runs beside each other: one HTML file that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jurist.files.jsonl import write_lines
from jurist.intervals import Estimate
from jurist.stage_records import Judged
from jurist_review.browsing import BYTES
from jurist_review.contrast import difference
from jurist_review.curves import Curve, by_importance
from jurist_review.display import ENDINGS
from jurist_review.funnel import Row, funnel
from jurist_review.jury import Member
from jurist_review.label_changes import LabelChanges, label_changes
from jurist_review.page import render
from jurist_review.reading import RunReading, StageReading, read_run
from jurist_review.recipe_changes import recipe_changes
from jurist_review.report import metrics_of, seconds_of, usage_of
from jurist_review.rows import Problems, read_records


@dataclass(frozen=True)
class Named:
    """A run with the name that it goes by in this page: its own and a number."""

    number: int
    run: RunReading

    @property
    def short(self) -> str:
        """The number, as a name."""
        return f"run {self.number}"

    @property
    def name(self) -> str:
        """The name, which no other run of the page has."""
        return f"{self.short} · {self.run.name}"


@dataclass(frozen=True)
class Shared:
    """A stage, as each run has it; by the name of the run, in which it may be missing."""

    name: str
    kind: str
    stages: Mapping[str, StageReading]

    def funnels(self) -> dict[str, dict[str, Row]]:
        """Every row of the funnels, by its label and by run."""
        return _turned({run: {row.label: row for row in funnel(stage)} for run, stage in self.stages.items()})

    def judges(self) -> dict[str, dict[str, Member]]:
        """Every judge, by its name and by run."""
        members = {run: stage.jury.members if stage.jury else [] for run, stage in self.stages.items()}
        return _turned({run: {member.name: member for member in each} for run, each in members.items()})

    def curves(self) -> dict[str, dict[str, Curve]]:
        """Every training metric that varies somewhere, by its name and by run."""
        found = _turned({run: {c.name: c for c in stage.curves} for run, stage in self.stages.items()})
        names = sorted(found, key=by_importance)
        return {name: found[name] for name in names if any(c.varies for c in found[name].values())}

    def metrics(self) -> dict[str, dict[str, dict[str, Estimate]]]:
        """Every estimate, by metric, by policy and by run."""
        found: dict[str, dict[str, dict[str, Estimate]]] = {}
        for run, stage in self.stages.items():
            for metric, policies in metrics_of(stage).items():
                for policy, estimate in policies.items():
                    by_run = found.setdefault(metric, {}).setdefault(policy, {})
                    by_run[run] = Estimate.model_validate(estimate)
        return found


def write_comparison(folders: Sequence[Path], output: Path) -> Path:
    """Write a page that shows several runs beside each other to ``output``, whole or not at all.

    Raises:
        UsageError: a folder is not the directory of a run, or ``output`` cannot be written.
    """
    runs = [Named(number, read_run(folder, browsed=0)) for number, folder in enumerate(folders, 1)]
    page = render("runs.html.j2", **_values(runs))
    with write_lines(output) as lines:
        lines.write(page)
    return output


def _values(runs: Sequence[Named]) -> dict[str, Any]:
    problems = Problems([f"{named.name}: {line}" for named in runs for line in named.run.problems])
    versions = _turned({named.name: named.run.versions for named in runs})
    return {
        "runs": runs,
        "endings": ENDINGS,
        "usage": {named.name: usage_of(named.run) for named in runs},
        "seconds": {named.name: seconds_of(named.run) for named in runs},
        "recipes": recipe_changes([named.run.settings for named in runs]),
        "versions": {name: of for name, of in versions.items() if len({of.get(n.name) for n in runs}) > 1},
        "shared": list(_shared(runs)),
        "changes": _label_changes(runs),
        "difference": difference,
        "problems": problems.lines,
    }


def _shared(runs: Sequence[Named]) -> Iterator[Shared]:
    """Every stage of any run; those of one name and kind are one."""
    found: dict[tuple[str, str], dict[str, StageReading]] = {}
    for named in runs:
        for stage in named.run.stages:
            found.setdefault((stage.name, stage.kind), {})[named.name] = stage
    return (Shared(name, kind, stages) for (name, kind), stages in found.items())


def _label_changes(runs: Sequence[Named]) -> dict[str, list[tuple[str, str, LabelChanges]]]:
    """What the first run and each other one decided, by the stage in which both did."""
    judging = [each for each in _shared(runs) if each.kind == "compare"]
    pairs = [
        (shared.name, runs[0].name, after.name, shared.stages)
        for shared in judging
        for after in runs[1:]
        if all(run in shared.stages and shared.stages[run].finished for run in (runs[0].name, after.name))
    ]
    found: dict[str, list[tuple[str, str, LabelChanges]]] = {}
    for stage, before, after, stages in pairs:
        first, second = (_judged(stages[run]) for run in (before, after))
        changes = label_changes(first, second, BYTES // len(pairs))
        found.setdefault(stage, []).append((before, after, changes))
    return found


def _judged(stage: StageReading) -> Iterator[Judged]:
    """What a stage judged; what of it cannot be read was noted when the run was."""
    return read_records(stage.folder / "judgments.jsonl", Judged, Problems())


def _turned(by_run: Mapping[str, Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """The same by the inner name first."""
    found: dict[str, dict[str, Any]] = {}
    for run, each in by_run.items():
        for name, value in each.items():
            found.setdefault(name, {})[run] = value
    return found
