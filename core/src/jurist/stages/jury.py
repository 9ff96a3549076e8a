"""The jury: judges, aggregators and, for the hard principles, a critic, applied to one comparison."""

from __future__ import annotations

import asyncio

from jurist.aggregators.chain import Chain
from jurist.constitution import Constitution
from jurist.contracts import Critic
from jurist.records import Comparison, Critique, CritiqueOutcome, Decision, JudgeOutcome, Prompt, Response
from jurist.stage_records import Judged
from jurist.stages.panel import Panel

SAME_TEXT = Decision(
    status="set_aside", reason="tie", detail="both responses are the same text", aggregator="jury"
)


class Jury:
    """The judges, the aggregators and, for the hard principles, the critic.

    ``in_turn``: judges are asked one after the other, until the first aggregator can decide.
    """

    def __init__(
        self,
        *,
        panel: Panel,
        chain: Chain,
        critic: Critic | None,
        constitution: Constitution,
        in_turn: bool = False,
    ) -> None:
        self._in_turn = in_turn
        self._panel = panel
        self._chain = chain
        self._critic = critic
        self._constitution = constitution
        self._filters = chain.before_judging

    async def judge(self, comparison: Comparison) -> Judged:
        """Filter first, where the chain has a filter; ask the judges only if that leaves it open.

        Nobody is asked which of two equal texts is better.
        """
        if comparison.response_a.says_the_same_as(comparison.response_b):
            return Judged(comparison=comparison, outcomes=(), decision=SAME_TEXT)
        if self._filters:
            comparison = await self._held_against_hard(comparison)
            early = self._chain.decide_early(comparison)
            if early is not None:
                return Judged(comparison=comparison, outcomes=(), decision=early)
        outcomes = await self._ask(comparison)
        decision = self._chain.decide(comparison, outcomes)
        return Judged(comparison=comparison, outcomes=outcomes, decision=decision)

    async def _ask(self, comparison: Comparison) -> tuple[JudgeOutcome, ...]:
        if not self._in_turn:
            return await self._panel.ask(comparison)
        return await self._panel.ask_in_turn(
            comparison, lambda outcomes: self._chain.is_enough(comparison, outcomes)
        )

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
