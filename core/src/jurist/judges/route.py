"""Route: another judge for each kind of prompt."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from jurist.constitution import Principle
from jurist.judges.combined import mean_of
from jurist.judges.of_judges import JudgeOfJudges, JudgeReference
from jurist.options import Options
from jurist.records import Comparison, JudgeOutcome


class RouteOptions(Options):
    """``by_tag``: who judges prompts with that tag, the first that fits; ``otherwise``: who judges others."""

    by_tag: dict[str, JudgeReference] = Field(min_length=1)
    otherwise: JudgeReference


class Route(JudgeOfJudges):
    """Hands a comparison to the judge for the tags of its prompt."""

    Options = RouteOptions
    options: RouteOptions

    async def judge(self, comparison: Comparison, principles: Sequence[Principle]) -> JudgeOutcome:
        """What that judge says, which is its only part."""
        tags = comparison.prompt.tags
        place = next((f"by_tag.{tag}" for tag in self.options.by_tag if tag in tags), "otherwise")
        return mean_of([await self.judges[place].judge(comparison, principles)])
