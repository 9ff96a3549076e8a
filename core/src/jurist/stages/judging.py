"""Judging: what the stages have in common in which judges judge and aggregators decide."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, cast

from jurist.aggregators.aggregation import learns
from jurist.aggregators.chain import Chain
from jurist.artifacts import Artifacts, StageArtifact
from jurist.constitution import Constitution
from jurist.contracts import Aggregator
from jurist.errors import UsageError
from jurist.records import content_id
from jurist.selection import ComponentSource, Selection, select, versions_of
from jurist.stage_settings import JudgingSettings
from jurist.stages.base import ComponentUse, Stage, StageContext
from jurist.stages.surroundings import Surroundings
from jurist.validation.labelled import Provenance
from jurist.validation.roster import roster_faults


class JudgingStage(Stage):
    """A stage in which judges judge and aggregators decide.

    ``may_learn``: one of its aggregators may still be to be learnt.
    """

    settings: JudgingSettings
    may_learn: ClassVar[bool] = False

    def references(self) -> list[ComponentUse]:
        """The judges and the aggregators."""
        where = f"stages.{self.name}"
        judges, aggregators = enumerate(self.settings.judges), enumerate(self.settings.aggregate)
        return [
            *(ComponentUse(f"{where}.judges.{n}", "judge", each) for n, each in judges),
            *(ComponentUse(f"{where}.aggregate.{n}", "aggregator", each) for n, each in aggregators),
        ]

    def goes_by_verdicts(self) -> bool:
        """Whether the first order's verdict says if there is a second."""
        return self.settings.orders == "adaptive"

    def chain(self, surroundings: Surroundings) -> Chain:
        """The aggregators, to be asked in turn."""
        return Chain(
            [
                cast(Aggregator, self.build(surroundings, "aggregator", each, f"aggregate.{number}"))
                for number, each in enumerate(self.settings.aggregate)
            ]
        )

    def versions(
        self, artifacts: Artifacts, source: ComponentSource, constitution: Constitution
    ) -> dict[str, str]:
        """Each judge's name with its version: its settings, its orders, and the principles it goes by.

        The seed that samples principles is no part of it.
        """
        settings, asked = self.settings, "one order"
        if settings.orders != "one":
            asked = f"{settings.orders} orders, {settings.on_flip}"
        if settings.orders == "adaptive":
            asked += f" below {settings.decisive:g}"
        if settings.principles == "none":
            asked += "; no principles"
        else:
            asked += f"; {settings.principles} principles of {content_id(*constitution.principles)}"
        of_judges = versions_of([artifacts.component(judge) for judge in settings.judges], source)
        return {judge: f"{version}: {asked}" for judge, version in of_judges.items()}

    def versions_known(
        self, artifacts: Artifacts, source: ComponentSource, constitution: Constitution
    ) -> dict[str, str]:
        """The same before the run: '' for judges that earlier stages are yet to make."""
        found = self.versions(artifacts, source, constitution)
        for judge in self.settings.judges:
            if _handed(judge, artifacts) is not None:
                found[select("judge", artifacts.component(judge), source).label] = ""
        return found

    def provenance(self, context: StageContext) -> Provenance:
        """What the votes of its judges record of themselves."""
        assembly = context.assembly
        judges = [
            select("judge", context.artifacts.component(judge), assembly.source)
            for judge in self.settings.judges
        ]
        return Provenance(
            versions=self.versions(context.artifacts, assembly.source, context.constitution),
            seed=self.recipe.seed if self.settings.principles == "sampled" else None,
            unpriced=tuple(judge.label for judge in judges if assembly.unpriced(judge)),
        )

    def check_judges(self, context: StageContext) -> None:
        """Have every aggregator look at who the judges are, before any of them is asked.

        Raises:
            UsageError: some cannot decide for these judges, or have not learnt to decide at all.
        """
        artifacts, source = context.artifacts, context.assembly.source
        versions = self.versions(artifacts, source, context.constitution)
        faults = self._aggregator_faults(artifacts, source, versions)
        if faults:
            raise UsageError.of_faults(f"stage '{self.name}' cannot begin", faults)

    def aggregator_faults(
        self, artifacts: Artifacts, source: ComponentSource, constitution: Constitution
    ) -> list[str]:
        """Why aggregators cannot decide for these judges, as far as that is known before the run.

        Raises:
            UsageError: the settings of a judge or an aggregator are wrong.
        """
        return self._aggregator_faults(
            artifacts, source, self.versions_known(artifacts, source, constitution)
        )

    def _aggregator_faults(
        self, artifacts: Artifacts, source: ComponentSource, versions: dict[str, str]
    ) -> list[str]:
        found = []
        for number, reference in enumerate(self.settings.aggregate):
            where = f"stages.{self.name}.aggregate.{number}"
            handed = _handed(reference, artifacts)
            try:
                if handed is not None and handed.kind == "jury" and handed.path is None:
                    _check_learnt_for(handed.judges, versions)
                else:
                    selection = select("aggregator", artifacts.component(reference), source, where)
                    self._check(selection, versions)
            except UsageError as error:
                found.append("\n    ".join(f"{where}: {error}".splitlines()))
        return found

    def _check(self, selection: Selection, versions: dict[str, str]) -> None:
        if not learns(selection):
            if all(versions.values()):  # else the stage looks at it itself, when what it is handed is there
                cast(Aggregator, selection.implementation(selection.options)).check_judges(versions)
        elif not self.may_learn:
            raise UsageError(
                f"'{selection.label}' has yet to learn from labelled items",
                hint="put a stage 'validate' with it before this one and write 'aggregate: [jury]' here, or "
                "give it the 'model:' of one that has learnt",
            )


def _handed(reference: object, artifacts: Artifacts) -> StageArtifact | None:
    """The artifact that a reference names, if it does."""
    return artifacts.find(reference) if isinstance(reference, str) else None


def _check_learnt_for(judges: Mapping[str, str], asked: Mapping[str, str]) -> None:
    """See to it that a jury that is yet to be learnt will be for these judges; '' is any version.

    Raises:
        UsageError: lists every judge that differs.
    """
    faults = roster_faults(judges, asked)
    if faults:
        raise UsageError.of_faults(
            "the jury learns from other judges",
            faults,
            hint="give both stages the same judges, 'orders', 'on_flip' and 'principles'",
        )
