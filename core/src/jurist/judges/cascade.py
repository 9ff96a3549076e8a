"""Cascade: a cheap judge first, a strong one when it is unsure."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from jurist.constitution import Principle
from jurist.judges.combined import silence_of, word_of
from jurist.judges.of_judges import JudgeOfJudges, JudgeReference
from jurist.judges.orders import is_sure
from jurist.options import Options
from jurist.records import ROUNDING, Comparison, JudgeOutcome, Judgment


class CascadeOptions(Options):
    """``judges`` are asked one after another, until the better side is as probable as ``sure``."""

    judges: tuple[JudgeReference, ...] = Field(min_length=2)
    sure: float = Field(default=0.8, gt=0.5, le=1)


class Cascade(JudgeOfJudges):
    """The preference of the first judge that is sure; where none is, that of the one who was surest.

    Selective judging, as in Trust or Escalate (arXiv 2407.18370). Whoever abstains or fails is not sure;
    where the last one does, there is no judgment: those before it were not sure. In both presentation
    orders a judge without soft labels is sure exactly when its orders agree.
    """

    Options = CascadeOptions
    options: CascadeOptions

    async def judge(self, comparison: Comparison, principles: Sequence[Principle]) -> JudgeOutcome:
        """The outcome of as many judges as it takes, who are its ``parts``."""
        said: list[JudgeOutcome] = []
        for judge in self.judges.values():
            outcome = await judge.judge(comparison, principles)
            said.append(outcome)
            if isinstance(outcome, Judgment) and is_sure(outcome.preference, self.options.sure):
                return word_of(said, len(said) - 1)
        if not isinstance(said[-1], Judgment):
            return silence_of(said)
        return word_of(said, _surest(said))


def _surest(said: Sequence[JudgeOutcome]) -> int:
    """Who leans to a side the most, the last of equals; there must be a judgment."""
    leans = {n: abs(part.preference - 0.5) for n, part in enumerate(said) if isinstance(part, Judgment)}
    return max(number for number, lean in leans.items() if lean >= max(leans.values()) - ROUNDING)
