"""What a run will ask for, before the first call: calls and tokens per stage.

Tokens are estimated from characters (four per token in Latin script, one per token in Chinese), so
they are good for an order of magnitude. Calls are counted as if every answer could be read at once and
took one call: re-asked answers, and the second call of a chain of thought, come on top.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from jurist.records import Prompt
from jurist.tokens import estimate_tokens


@dataclass(frozen=True)
class CallPlan:
    """Calls of one role: at least and at most, retries and re-asked answers left out."""

    role: str
    least: int
    most: int


@dataclass(frozen=True)
class StagePlan:
    """What one stage will ask for; ``tokens`` bounds prompt and completion tokens of all its calls."""

    stage: str
    prompts: int
    calls: tuple[CallPlan, ...] = ()
    tokens: tuple[int, int] = (0, 0)
    note: str = ""

    @classmethod
    def of(
        cls, stage: str, prompts: Sequence[Prompt], calls: Sequence[CallPlan], max_tokens: int
    ) -> StagePlan:
        """A plan whose tokens follow from the prompts' mean length and the longest answers allowed."""
        mean = sum(estimate_tokens(prompt.messages) for prompt in prompts) / max(1, len(prompts))
        least = sum(call.least for call in calls) * mean
        most = sum(call.most for call in calls) * (mean + 2 * max_tokens)
        return cls(stage, len(prompts), tuple(calls), (round(least), round(most)))


@dataclass(frozen=True)
class Plan:
    """What all stages of a recipe will ask for."""

    stages: tuple[StagePlan, ...]

    @property
    def calls(self) -> tuple[int, int]:
        """Calls of all stages, at least and at most."""
        calls = [call for stage in self.stages for call in stage.calls]
        return sum(call.least for call in calls), sum(call.most for call in calls)
