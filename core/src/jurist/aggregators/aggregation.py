"""Aggregation: a chain of aggregators as a recipe has it, to be measured and, where one learns, learnt."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import cast

from pydantic import JsonValue

from jurist.aggregators.chain import Chain
from jurist.aggregators.learnt_chain import LearntChain
from jurist.contracts import Aggregator, LearntAggregator
from jurist.errors import PluginError, UsageError
from jurist.selection import ComponentSource, Selection, select
from jurist.stage_settings import Reference
from jurist.validation.labelled import LabelledItem


@dataclass(frozen=True)
class Aggregation:
    """Aggregators that are asked in turn; nothing is built until :meth:`build`.

    ``learner`` is the one of them that is to be learnt, where one is.
    """

    selections: tuple[Selection, ...]
    learner: Selection | None = None

    @classmethod
    def of(
        cls,
        references: Iterable[Reference],
        source: ComponentSource,
        where: str = "aggregate",
        *,
        handed: Collection[int] = (),
    ) -> Aggregation:
        """The aggregators behind references.

        Those at the places ``handed`` come from earlier stages: they have learnt by the time they are asked.

        Raises:
            UsageError: settings are wrong, one decides before judges are asked, or more than one is to be
                learnt; lists every fault.
        """
        selections, learning, faults = [], [], []
        for number, reference in enumerate(references):
            try:
                selected = select("aggregator", reference, source, f"{where}.{number}")
            except (UsageError, PluginError) as error:
                faults.append("\n    ".join(str(error).splitlines()))
                continue
            selections.append(selected)
            if learns(selected) and number not in handed:
                learning.append(selected)
        faults += [
            f"{where}: '{each.label}' decides before judges are asked and says nothing of them; leave it out"
            for each in selections
            if cast(type[Aggregator], each.implementation).before_judging
        ]
        if len(learning) > 1:
            names = " and ".join(each.label for each in learning)
            faults.append(
                f"{where}: {names} are to be learnt, and only one can be; give the others "
                "the 'model:' of one that was learnt before"
            )
        if faults:
            raise UsageError.of_faults("a chain that cannot be measured", faults)
        return cls(tuple(selections), learning[0] if learning else None)

    @property
    def name(self) -> str:
        """The names of its aggregators, in the order they are asked."""
        return " > ".join(each.label for each in self.selections)

    @property
    def learnt_component(self) -> dict[str, JsonValue] | None:
        """The settings of the aggregator that is still to be learnt; None where there is none."""
        return None if self.learner is None else self.learner.settings

    def build(self) -> Chain:
        """A new chain, a :class:`LearntAggregator` as well where one of it is to be learnt."""
        aggregators = [cast(Aggregator, each.implementation(each.options)) for each in self.selections]
        for selection, aggregator in zip(self.selections, aggregators, strict=True):
            if selection is self.learner:
                return LearntChain(aggregators, cast(LearntAggregator, aggregator))
        return Chain(aggregators)

    def learn(self, items: Sequence[LabelledItem]) -> LearntAggregator:
        """A new one that has learnt from ``items``, to be saved.

        Raises:
            UsageError: there is nothing to learn in it, or nothing can be learnt from them.
        """
        self.check_learns()
        chain = cast(LearntChain, self.build())
        chain.fit(items)
        return chain

    def check_learns(self, asked_by: str = "") -> None:
        """See to it that one of them is to be learnt; ``asked_by`` is the option that wants it.

        Raises:
            UsageError: none is.
        """
        if self.learner is not None:
            return
        place = f"{asked_by}: " if asked_by else ""
        for each in self.selections:
            if issubclass(each.implementation, LearntAggregator):
                model = getattr(each.options, "model", None)
                raise UsageError(
                    f"{place}'{each.label}' comes learnt (model: {model}), so there is nothing to save",
                    hint="leave out 'model' to learn it anew",
                )
        raise UsageError(
            f"{place}'{self.name}' is not learnt from labelled items, so there is nothing to save",
            hint="choose an aggregator that is; jurist plugins list",
        )


def measured_beside(jury: Aggregation, source: ComponentSource) -> list[Aggregation]:
    """The jury first, then the plain aggregators that it should be better than."""
    plain = [Aggregation.of([name], source) for name in ("majority", "confidence")]
    return [jury, *(each for each in plain if each.name != jury.name)]


def learns(selection: Selection) -> bool:
    """Whether an aggregator is to be learnt before it decides."""
    is_learnt = issubclass(selection.implementation, LearntAggregator)
    return is_learnt and getattr(selection.options, "model", None) is None
