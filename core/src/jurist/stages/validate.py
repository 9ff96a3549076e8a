"""Measuring a jury: judges are asked about labelled items, and what they say is held against the labels."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from jurist.aggregators.aggregation import Aggregation, measured_beside
from jurist.artifacts import Artifacts, StageArtifact
from jurist.constitution import Constitution
from jurist.errors import GateStop, UsageError
from jurist.files.jsonl import write_json, write_lines
from jurist.files.prompts import selected
from jurist.files.record_file import RecordFile
from jurist.recipe import Recipe, resolve_path
from jurist.records import JudgeOutcome, Judgment
from jurist.selection import ComponentSource
from jurist.stage_settings import ValidateSettings
from jurist.stages.base import StageContext, StageResult, Work, naming
from jurist.stages.judge_counts import JudgeCounts
from jurist.stages.judging import JudgingStage
from jurist.stages.panel import Panel
from jurist.stages.surroundings import Surroundings
from jurist.validation.drift import Drift
from jurist.validation.labelled import LabelledItem, labelled_file, load_labelled, votes_of
from jurist.validation.measurement import hold_against, measurement, validate
from jurist.validation.result import Validation


@dataclass(frozen=True)
class Asked:
    """A labelled item with what the judges said of it."""

    item: LabelledItem
    outcomes: tuple[JudgeOutcome, ...]


class ValidateStage(JudgingStage):
    """Has a jury measured on labelled items; makes a ``jury`` where an aggregator is to be learnt."""

    settings: ValidateSettings
    may_learn = True

    def __init__(self, settings: Any, recipe: Recipe) -> None:
        super().__init__(settings, recipe)
        self._labelled: RecordFile[LabelledItem] | None = None
        self._anchors: list[LabelledItem] | None = None
        self._made: StageArtifact | None = None

    def prepare(
        self, artifacts: Artifacts, source: ComponentSource, constitution: Constitution | None
    ) -> None:
        """Find out whether its jury is to be learnt, and for which judges.

        Raises:
            UsageError: it cannot be measured.
        """
        learns = self._aggregation(artifacts, source).learnt_component
        judges = self.versions_known(artifacts, source, constitution) if learns and constitution else {}
        self._made = _jury(learns, judges)
        measurement(source)

    def makes(self) -> StageArtifact | None:
        """The jury that was learnt, where one is to be."""
        return self._made

    def input_files(self) -> list[Path]:
        """The labelled items, and the anchors."""
        return [resolve_path(path) for path in (self.settings.labelled, self.settings.anchors) if path]

    def records(self) -> RecordFile[LabelledItem]:
        """The labelled items, filtered by tags and limited.

        Raises:
            UsageError: the file is missing or faulty.
        """
        if self._labelled is None:
            tags = self.settings.tags, self.settings.without_tags
            with naming(f"stages.{self.name}.labelled"):
                self._labelled = labelled_file(
                    resolve_path(self.settings.labelled),
                    keep=lambda item: selected(item.comparison.prompt, *tags),
                    limit=self.settings.limit,
                )
        return self._labelled

    def anchors(self) -> list[LabelledItem]:
        """The items that judges are asked about again, with the votes of before.

        Raises:
            UsageError: the file is missing or faulty.
        """
        if self._anchors is None:
            path = self.settings.anchors
            with naming(f"stages.{self.name}.anchors"):
                self._anchors = load_labelled(resolve_path(path)) if path else []
        return self._anchors

    def items(self, records: Iterable[LabelledItem]) -> Iterable[LabelledItem]:
        """The labelled items and as large a part of the anchors."""
        chosen = list(records)
        return [*chosen, *self.anchors()[: len(self.anchors()) * len(chosen) // len(self.records())]]

    def faults(self) -> list[str]:
        """Its items and anchors, which judges must be able to read."""
        where = f"stages.{self.name}"
        faults = _unreadable(f"{where}.labelled", list(self.records()))
        if not self.records():
            faults.append(f"{where}.labelled: no item is left after its filters (tags, without_tags)")
        if self.settings.anchors is None:
            return faults
        faults += _unreadable(f"{where}.anchors", self.anchors())
        if not any(item.votes for item in self.anchors()):
            faults.append(
                f"{where}.anchors: there are no votes in it; give the verdicts.jsonl of another run"
            )
        return faults

    def aggregator_faults(
        self, artifacts: Artifacts, source: ComponentSource, constitution: Constitution
    ) -> list[str]:
        """Why aggregators cannot decide for its judges, or anchors say nothing of any of them."""
        faults = super().aggregator_faults(artifacts, source, constitution)
        before = {vote.judge for item in self.anchors() for vote in item.votes}
        judges = self.versions_known(artifacts, source, constitution)
        if before and before.isdisjoint(judges):
            faults.append(
                f"stages.{self.name}.anchors: its votes are of {', '.join(sorted(before))}, and none is of "
                f"{', '.join(judges)}; give the verdicts.jsonl of a run with the same judges"
            )
        return faults

    def faults_in(self, folder: Path) -> list[str]:
        """Anchors that are the run's own: its ledger would give the same answers again."""
        path = self.settings.anchors
        if path is None or not resolve_path(path).resolve().is_relative_to(folder.resolve()):
            return []
        return [f"stages.{self.name}.anchors: these are verdicts of this run, which asks nothing twice"]

    def work(self, surroundings: Surroundings) -> Work:
        """What the judges say of an item."""
        panel = Panel.of(self, surroundings)

        async def ask(item: LabelledItem) -> Asked:
            return Asked(item, await panel.ask(item.comparison))

        return ask

    async def execute(self, context: StageContext, folder: Path) -> StageResult:
        """Write every verdict, have them measured, and learn the jury that is to be learnt."""
        aggregation = self._aggregation(context.artifacts, context.assembly.source)
        self.check_judges(context)
        total = len(self.records()) + len(self.anchors())
        context.events.stage_started(stage=self.name, total=total)
        counts, work = JudgeCounts(self.settings.on_flip), self.work(context)
        drift = await self._guarded(context, work, folder)
        items = await self._ask(context, work, self.records(), folder / "verdicts.jsonl", counts)
        if counts.all_failed:
            return StageResult(faults=counts.errors)
        measured = await asyncio.to_thread(self._measured, items, aggregation, context.assembly.source)
        write_json(folder / "validation.json", measured.model_dump(mode="json"))
        with write_lines(folder / "validation.txt") as lines:
            lines.write(measured.text.rstrip())
        context.events.notice(self.name, f"{measured.recommendation}: {measured.reason}")
        artifact = _jury(aggregation.learnt_component, self.provenance(context).versions)
        unlearnt = {}
        if artifact is not None:
            why_not = await asyncio.to_thread(self._learn, aggregation, items, folder / "jury")
            artifact = artifact.model_copy(update={"path": folder / "jury"}) if not why_not else None
            if why_not:
                unlearnt = {"not_learnt": why_not}
                context.events.notice(self.name, f"no jury was learnt: {why_not}")
        told = measured.model_dump(mode="json", include={"recommendation", "reason", "subject", "accuracy"})
        summary = {"items": len(items), **told, "judges": counts.summary(), **drift, **unlearnt}
        return StageResult(summary, artifact)

    def gate(self, summary: dict[str, Any]) -> None:
        """Go on only if its jury is good enough."""
        told = {name: str(summary[name]) for name in ("recommendation", "subject", "reason")}
        hold_against(self.settings.require, **told)

    async def _guarded(self, context: StageContext, work: Work, folder: Path) -> dict[str, Any]:
        """What the summary says of the anchors, which come first: a judge that drifted need not go on.

        Raises:
            GateStop: a judge says something else of the anchors than before.
        """
        if self.settings.anchors is None:
            return {}
        now = await self._ask(context, work, self.anchors(), folder / "anchors.jsonl", JudgeCounts())
        drift = Drift.between(self.anchors(), now, self.settings.max_drift)
        write_json(folder / "drift.json", drift.model_dump(mode="json"))
        for each in drift.judges:
            context.events.notice(self.name, f"anchors: {each.text()}")
        if drift.drifting:
            raise GateStop(
                f"{', '.join(each.judge for each in drift.drifting)} drifted: more than "
                f"{self.settings.max_drift:.0%} of the verdicts on the anchors changed",
                cause=" | ".join(each.text() for each in drift.drifting),
                hint="validate and calibrate anew with verdicts of now, or raise 'max_drift'",
            )
        return {"drift": drift.model_dump(mode="json")}

    async def _ask(
        self,
        context: StageContext,
        work: Work,
        items: Iterable[LabelledItem],
        file: Path,
        counts: JudgeCounts,
    ) -> list[LabelledItem]:
        """The items with the votes on them, which are on disk then."""
        provenance = self.provenance(context)
        found = []
        with write_lines(file) as lines:
            async for asked in context.engine.map(work, items):
                counts.add(asked.outcomes)
                votes = votes_of(asked.outcomes, provenance, self.settings.on_flip)
                voted = asked.item.model_copy(update={"votes": votes, "on_flip": self.settings.on_flip})
                lines.write(voted.to_json())
                found.append(voted)
                said = any(isinstance(outcome, Judgment) for outcome in asked.outcomes)
                context.events.outcome(stage=self.name, outcome="judged" if said else "no_votes")
        return found

    def _learn(self, aggregation: Aggregation, items: list[LabelledItem], folder: Path) -> str:
        """Have the jury learn and save it in ``folder``; says why nothing was learnt, where nobody needs it.

        Raises:
            UsageError: nothing can be learnt, and a later stage is to be handed it.
        """
        try:
            aggregation.learn(items).save(folder)
        except UsageError as error:
            if self._is_handed_on():
                raise
            return f"{error.what}: {error.cause}" if error.cause else error.what
        return ""

    def _is_handed_on(self) -> bool:
        """Whether a later stage has the jury that is learnt here decide."""
        stages = self.recipe.stages
        later = stages[[stage.name for stage in stages].index(self.name) + 1 :]
        references = [each for stage in later for each in getattr(stage, "aggregate", ())]
        return "jury" in references or self.name in references

    def _measured(
        self, items: list[LabelledItem], aggregation: Aggregation, source: ComponentSource
    ) -> Validation:
        return validate(
            items,
            measured_beside(aggregation, source),
            source,
            thresholds=self.settings.thresholds,
            seed=self.recipe.seed,
        )

    def _aggregation(self, artifacts: Artifacts, source: ComponentSource) -> Aggregation:
        given = self.settings.aggregate
        handed = [n for n, each in enumerate(given) if isinstance(each, str) and artifacts.find(each)]
        references = [artifacts.component(each) for each in given]
        return Aggregation.of(references, source, f"stages.{self.name}.aggregate", handed=handed)


def _jury(component: dict[str, JsonValue] | None, judges: dict[str, str]) -> StageArtifact | None:
    """The artifact of an aggregator that learns for ``judges``; None where there is none."""
    if component is None:
        return None
    return StageArtifact(kind="jury", fingerprint="", component=component, judges=judges)


def _unreadable(where: str, items: Sequence[LabelledItem]) -> list[str]:
    """The fault of items that judges cannot read, if there are any."""
    without = [item.item for item in items if not item.has_texts]
    if not without:
        return []
    return [
        f"{where}: {len(without)} of {len(items)} items lack prompt, response_a or response_b, the first of "
        f"them '{without[0]}'"
    ]
