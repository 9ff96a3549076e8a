"""What is wrong with a jury before anybody is asked: its filter, its names, its samples."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import cast

from pydantic import JsonValue

from jurist.artifacts import Artifacts
from jurist.assembly import ComponentSource, Selection, fingerprint_of, select
from jurist.constitution import Constitution
from jurist.contracts import Aggregator
from jurist.errors import PluginError, UsageError
from jurist.judges.repeat import Repeat
from jurist.recipe import Reference
from jurist.stages.compare import CompareStage
from jurist.stages.panel import JudgingStage


def jury_faults(
    stage: JudgingStage, constitution: Constitution | None, artifacts: Artifacts, source: ComponentSource
) -> list[str]:
    """The faults of a stage's jury; what is wrong with one component by itself is told elsewhere."""
    where = f"stages.{stage.name}"
    try:
        aggregators = _selected("aggregator", stage.settings.aggregate, artifacts, source)
        judges = _selected("judge", stage.settings.judges, artifacts, source)
    except (UsageError, PluginError):
        return []
    faults = [*_name_faults(judges, where), *_sampling_faults(judges, where)]
    if isinstance(stage, CompareStage) and constitution is not None:
        faults += _filter_faults(aggregators, stage, constitution)
    return faults


def _selected(
    kind: str, references: Sequence[Reference], artifacts: Artifacts, source: ComponentSource
) -> list[Selection]:
    return [select(kind, artifacts.component(reference), source) for reference in references]


def _name_faults(judges: Sequence[Selection], where: str) -> Iterator[str]:
    """Names that judges of other settings have as well, one of them inside another: counts would be mixed."""
    known: dict[str, JsonValue] = {}
    for number, judge in enumerate(judges):
        for place, each in judge.within(f"{where}.judges.{number}"):
            settings = fingerprint_of(each)
            if known.setdefault(each.label, settings) != settings and each is not judge:
                yield f"{place}: another judge is called '{each.label}' too; give each its own 'name:'"


def _sampling_faults(judges: Sequence[Selection], where: str) -> Iterator[str]:
    """Repeated samples that are paid for again and again, and are all alike."""
    repeats = (
        repeat
        for number, judge in enumerate(judges)
        for repeat in judge.within(f"{where}.judges.{number}")
        if issubclass(repeat[1].implementation, Repeat)
    )
    for above, repeat in repeats:
        for place, each in repeat.within(above):
            if each.role_options is not None and not getattr(each.role_options, "temperature", None):
                yield f"{place}: at temperature 0 all samples are alike; give '{each.label}' a 'temperature:'"


def _filter_faults(chosen: list[Selection], stage: CompareStage, constitution: Constitution) -> list[str]:
    """What a filter by hard principles lacks: principles that are hard, and somebody to hold them up."""
    before = [cast(type[Aggregator], each.implementation).before_judging for each in chosen]
    if not any(before):
        return []
    where = f"stages.{stage.name}.aggregate"
    if before != sorted(before, reverse=True):
        return [f"{where}: what decides before the judges are asked must come first: {_ordered(chosen)}"]
    if not constitution.hard:
        return [
            f"{where}: constitution '{constitution.name}' has no principle with 'hard: true' to filter by"
        ]
    unchecked = [principle.name for principle in constitution.hard if not principle.checks]
    if unchecked and stage.settings.critic is None:
        names = ", ".join(unchecked)
        return [f"{where}: hard principles without checks ({names}) need a 'critic:' in this stage"]
    return []


def _ordered(chosen: list[Selection]) -> str:
    """The aggregators in an order that works."""
    first = sorted(chosen, key=lambda each: not cast(type[Aggregator], each.implementation).before_judging)
    return f"[{', '.join(each.label for each in first)}]"
