"""A judge that finds every comparison a tie."""

from collections.abc import Sequence

from jurist.constitution import Principle
from jurist.contracts import Judge
from jurist.records import Comparison, JudgeOutcome, Judgment


class Twin(Judge):
    """Finds every comparison a tie."""

    async def judge(self, comparison: Comparison, principles: Sequence[Principle]) -> JudgeOutcome:
        """A tie."""
        return Judgment(preference=0.5)
