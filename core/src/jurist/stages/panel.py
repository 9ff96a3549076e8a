"""Panel: judges in their presentation orders, who are asked about a comparison by the same principles."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import cast

from jurist.constitution import Constitution, Principle
from jurist.contracts import Judge
from jurist.judges.orders import in_orders
from jurist.records import Comparison, JudgeOutcome
from jurist.stage_settings import Principles
from jurist.stages.base import choose_principles
from jurist.stages.judging import JudgingStage
from jurist.stages.surroundings import Surroundings


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
