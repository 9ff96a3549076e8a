"""Panel: judges in their presentation orders, who are asked about a comparison by the same principles."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import ClassVar, cast

from jurist.aggregation import learns
from jurist.aggregators.chain import Chain
from jurist.artifacts import Artifacts
from jurist.assembly import ComponentSource, Selection, labels_of, select, versions_of
from jurist.constitution import Constitution
from jurist.contracts import Aggregator, Judge
from jurist.errors import UsageError
from jurist.orders import in_orders
from jurist.recipe import JudgingSettings, Principles
from jurist.records import Comparison, JudgeOutcome
from jurist.stages.base import Stage, Surroundings, choose_principles


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
        seed = f"{self._seed}:{comparison.id}"
        principles = choose_principles(self._constitution, self._principles, seed)
        asked = [judge.judge(comparison, principles) for judge in self._judges]
        return tuple(await asyncio.gather(*asked)) if len(asked) > 1 else (await asked[0],)


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

    def check(self) -> list[str]:
        """That no two judges share a name."""
        labels = labels_of(self.settings.judges)
        return [
            f"stages.{self.name}.judges: {labels.count(label)} judges are called '{label}'; "
            "give each its own 'name:'"
            for label in sorted(set(labels))
            if labels.count(label) > 1
        ]

    def chain(self, surroundings: Surroundings) -> Chain:
        """The aggregators, to be asked in turn."""
        return Chain(
            [
                cast(Aggregator, self.build(surroundings, "aggregator", each, f"aggregate.{number}"))
                for number, each in enumerate(self.settings.aggregate)
            ]
        )

    def versions(self, artifacts: Artifacts, source: ComponentSource) -> dict[str, str]:
        """Each judge's name with a fingerprint of its settings."""
        return versions_of([artifacts.component(judge) for judge in self.settings.judges], source)

    def check_judges(self, artifacts: Artifacts, source: ComponentSource) -> None:
        """Have every aggregator look at who the judges are, before any of them is asked.

        Raises:
            UsageError: some cannot decide for these judges, or have not learnt to decide at all.
        """
        faults = self.refusals(artifacts, source)
        if faults:
            raise UsageError.of_faults(f"stage '{self.name}' cannot begin", faults)

    def refusals(self, artifacts: Artifacts, source: ComponentSource) -> list[str]:
        """Why aggregators cannot decide for these judges, one for each that cannot.

        Raises:
            UsageError: the settings of a judge or an aggregator are wrong.
        """
        versions, found = self.versions(artifacts, source), []
        for number, reference in enumerate(self.settings.aggregate):
            where = f"stages.{self.name}.aggregate.{number}"
            selection = select("aggregator", artifacts.component(reference), source, where)
            try:
                self._check(selection, versions)
            except UsageError as error:
                found.append("\n    ".join(f"{where}: {error}".splitlines()))
        return found

    def _check(self, selection: Selection, versions: dict[str, str]) -> None:
        if not learns(selection):
            cast(Aggregator, selection.implementation(selection.options)).check_judges(versions)
        elif not self.may_learn:
            raise UsageError(
                f"'{selection.label}' has yet to learn from labelled items",
                hint="put a stage 'validate' with it before this one and write 'aggregate: [jury]' here, or "
                "give it the 'model:' of one that has learnt",
            )
