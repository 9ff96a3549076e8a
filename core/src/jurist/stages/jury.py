"""The jury: judges, aggregators and, for the hard principles, a critic, applied to one comparison."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from jurist.aggregators.chain import Chain
from jurist.constitution import Constitution
from jurist.contracts import Critic, Judge
from jurist.recipe import Principles
from jurist.records import (
    Comparison,
    Critique,
    CritiqueOutcome,
    Decision,
    JudgeOutcome,
    Prompt,
    Record,
    Response,
)
from jurist.stages.base import choose_principles


class Judged(Record):
    """A comparison with everything that was said of it and the decision."""

    comparison: Comparison
    outcomes: tuple[JudgeOutcome, ...]
    decision: Decision


def outcome_of(decision: Decision) -> str:
    """One word for progress and counts: ``preferred``, ``tie``, or why it was set aside."""
    if decision.probability is None:
        return str(decision.reason)
    return "tie" if decision.probability == 0.5 else "preferred"


class Jury:
    """The judges, the aggregators and, for the hard principles, the critic."""

    def __init__(
        self,
        *,
        judges: Sequence[Judge],
        chain: Chain,
        critic: Critic | None,
        constitution: Constitution,
        principles: Principles,
        seed: int,
    ) -> None:
        self._judges = judges
        self._chain = chain
        self._critic = critic
        self._constitution = constitution
        self._principles = principles
        self._seed = seed
        self._filters = chain.before_judging

    async def judge(self, comparison: Comparison) -> Judged:
        """Filter first, where the chain has a filter; ask the judges only if that leaves it open."""
        if self._filters:
            comparison = await self._held_against_hard(comparison)
            early = self._chain.decide_early(comparison)
            if early is not None:
                return Judged(comparison=comparison, outcomes=(), decision=early)
        seed = f"{self._seed}:{comparison.id}"
        principles = choose_principles(self._constitution, self._principles, seed)
        asked = [judge.judge(comparison, principles) for judge in self._judges]
        outcomes = await asyncio.gather(*asked) if len(asked) > 1 else [await asked[0]]
        decision = self._chain.decide(comparison, outcomes)
        return Judged(comparison=comparison, outcomes=tuple(outcomes), decision=decision)

    async def _held_against_hard(self, comparison: Comparison) -> Comparison:
        first, second = await asyncio.gather(
            self._hard_critique(comparison.prompt, comparison.response_a),
            self._hard_critique(comparison.prompt, comparison.response_b),
        )
        return comparison.model_copy(update={"critique_a": first, "critique_b": second})

    async def _hard_critique(self, prompt: Prompt, response: Response) -> CritiqueOutcome | None:
        hard = self._constitution.hard
        findings = {p.name: p.check(response.text) for p in hard}
        open_principles = [p for p in hard if findings[p.name] is None]
        if open_principles and self._critic is not None:
            answer = await self._critic.critique(prompt, response, open_principles)
            if not isinstance(answer, Critique):
                return answer
            findings |= {finding.principle: finding for finding in answer.findings}
        found = tuple(finding for finding in findings.values() if finding is not None)
        return Critique(findings=found, source="hard principles") if found else None
