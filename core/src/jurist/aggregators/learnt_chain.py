"""The chain of which an aggregator is still to be learnt."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from jurist.aggregators.chain import Chain
from jurist.contracts import Aggregator, LearntAggregator
from jurist.validation.labelled import LabelledItem


class LearntChain(Chain, LearntAggregator):
    """A chain that is learnt by having the one aggregator ``learns`` among its own learn."""

    def __init__(self, aggregators: Sequence[Aggregator], learns: LearntAggregator) -> None:
        super().__init__(aggregators)
        self.learns = learns

    @property
    def is_learnt(self) -> bool:
        """It is not: one of its aggregators is to be learnt."""
        return False

    def fit(self, items: Sequence[LabelledItem]) -> None:
        """Have it learn from the items."""
        self.learns.fit(items)

    def save(self, folder: Path) -> None:
        """Have it write what it learnt."""
        self.learns.save(folder)
