"""Cascade: a cheap judge first, a strong one when it is unsure."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from jurist.constitution import Principle
from jurist.judges.combined import mean_of, shared
from jurist.judges.of_judges import JudgeOfJudges, JudgeReference
from jurist.options import Options
from jurist.records import Comparison, JudgeOutcome, Judgment

_ROUNDING = 1e-9


class CascadeOptions(Options):
    """``judges`` are asked one after another, until the better side is as probable as ``sure``."""

    judges: tuple[JudgeReference, ...] = Field(min_length=2)
    sure: float = Field(default=0.8, gt=0.5, le=1)


class Cascade(JudgeOfJudges):
    """The preference of the first judge that is sure; where none is, the mean of all who judged.

    Selective judging, as in Trust or Escalate (arXiv 2407.18370). Whoever abstains or fails is not sure.
    In both presentation orders a judge without soft labels is sure exactly when its orders agree.
    """

    Options = CascadeOptions
    options: CascadeOptions

    async def judge(self, comparison: Comparison, principles: Sequence[Principle]) -> JudgeOutcome:
        """The outcome of as many judges as it takes, who are its ``parts``."""
        said: list[JudgeOutcome] = []
        for judge in self.judges.values():
            outcome = await judge.judge(comparison, principles)
            said.append(outcome)
            if isinstance(outcome, Judgment) and self._is_sure(outcome.preference):
                return Judgment(preference=outcome.preference, method=outcome.method, **shared(said))
        return mean_of(said)

    def _is_sure(self, preference: float) -> bool:
        return max(preference, 1 - preference) >= self.options.sure - _ROUNDING
