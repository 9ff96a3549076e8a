"""Panel: judges in their presentation orders, who are asked about a comparison by the same principles."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from typing import ClassVar, cast

from jurist.aggregators.aggregation import learns
from jurist.aggregators.chain import Chain
from jurist.artifacts import Artifacts, StageArtifact
from jurist.assembly import ComponentSource, Selection, select, versions_of
from jurist.constitution import Constitution, Principle
from jurist.contracts import Aggregator, Judge
from jurist.errors import UsageError
from jurist.judges.orders import in_orders
from jurist.records import Comparison, JudgeOutcome, content_id
from jurist.stage_settings import JudgingSettings, Principles
from jurist.stages.base import Stage, StageContext, Surroundings, choose_principles
from jurist.validation.labelled import Provenance
from jurist.validation.roster import roster_faults


class Panel:
    """The judges of a stage. ``seed`` and the comparison say which principle is sampled."""

    def __init__(
        self, judges: Sequence[Judge], constitution: Constitution, principles: Principles, seed: int
    ) -> None:
        self._judges = judges
        self._constitution = constitution
        self._principles = principles
        self._seed = seed

    @classmethod
    def of(cls, stage: JudgingStage, surroundings: Surroundings) -> Panel:
        """The judges that a stage's settings name."""
        settings = stage.settings
        orders = in_orders(settings.orders, settings.on_flip, settings.decisive)
        judges = [
            cast(Judge, stage.build(surroundings, "judge", judge, f"judges.{number}", orders))
            for number, judge in enumerate(settings.judges)
        ]
        return cls(judges, surroundings.constitution, settings.principles, stage.recipe.seed)

    async def ask(self, comparison: Comparison) -> tuple[JudgeOutcome, ...]:
        """What each judge says of it, all asked at the same time."""
        principles = self._principles_for(comparison)
        asked = [judge.judge(comparison, principles) for judge in self._judges]
        return tuple(await asyncio.gather(*asked)) if len(asked) > 1 else (await asked[0],)

    async def ask_in_turn(
        self, comparison: Comparison, enough: Callable[[Sequence[JudgeOutcome]], bool]
    ) -> tuple[JudgeOutcome, ...]:
        """What the first judges say of it, one asked after the other until that is ``enough``."""
        principles = self._principles_for(comparison)
        outcomes: list[JudgeOutcome] = []
        for judge in self._judges:
            outcomes.append(await judge.judge(comparison, principles))
            if enough(outcomes):
                break
        return tuple(outcomes)

    def _principles_for(self, comparison: Comparison) -> tuple[Principle, ...]:
        return choose_principles(self._constitution, self._principles, f"{self._seed}:{comparison.id}")


class JudgingStage(Stage):
    """A stage in which judges judge and aggregators decide.

    ``may_learn``: one of its aggregators may still be to be learnt.
    """

    settings: JudgingSettings
    may_learn: ClassVar[bool] = False

    def references(self) -> list[tuple[str, str, object]]:
        """The judges and the aggregators."""
        where = f"stages.{self.name}"
        judges = [(f"{where}.judges.{n}", "judge", each) for n, each in enumerate(self.settings.judges)]
        return [
            *judges,
            *(
                (f"{where}.aggregate.{n}", "aggregator", each)
                for n, each in enumerate(self.settings.aggregate)
            ),
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
        faults = self._refusals(artifacts, source, versions)
        if faults:
            raise UsageError.of_faults(f"stage '{self.name}' cannot begin", faults)

    def refusals(
        self, artifacts: Artifacts, source: ComponentSource, constitution: Constitution
    ) -> list[str]:
        """Why aggregators cannot decide for these judges, as far as that is known before the run.

        Raises:
            UsageError: the settings of a judge or an aggregator are wrong.
        """
        return self._refusals(artifacts, source, self.versions_known(artifacts, source, constitution))

    def _refusals(self, artifacts: Artifacts, source: ComponentSource, versions: dict[str, str]) -> list[str]:
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
