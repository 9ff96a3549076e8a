"""Repeat: the same judge, asked several times."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from pydantic import Field

from jurist.constitution import Principle
from jurist.judges.combined import mean_of, silence_of
from jurist.judges.of_judges import JudgeOfJudges, JudgeReference
from jurist.options import Options
from jurist.records import Comparison, JudgeOutcome, Judgment


class RepeatOptions(Options):
    """``samples``: how often ``judge`` is asked about each comparison, with another seed each time."""

    judge: JudgeReference
    samples: int = Field(default=5, ge=2)


class Repeat(JudgeOfJudges):
    """The mean preference over repeated samples of one judge.

    Self-consistency (arXiv 2203.11171): a soft label from a judge that only writes verdicts. The judge should
    sample: at temperature 0 all samples are alike. Samples without a judgment have no part in the mean; when
    they are more than half, there is none.
    """

    Options = RepeatOptions
    options: RepeatOptions

    async def judge(self, comparison: Comparison, principles: Sequence[Principle]) -> JudgeOutcome:
        """The outcome of all samples, which are its ``parts``."""
        inner, first = self.judges["judge"], comparison.sample * self.options.samples
        samples = [
            comparison.model_copy(update={"sample": first + number}) for number in range(self.options.samples)
        ]
        said = await asyncio.gather(*(inner.judge(sample, principles) for sample in samples))
        judged = sum(isinstance(outcome, Judgment) for outcome in said)
        return mean_of(said) if 2 * judged >= len(said) else silence_of(said)
