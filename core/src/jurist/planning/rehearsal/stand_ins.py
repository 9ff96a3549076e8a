"""Stand-ins: for components that are no chat models, and for what decides by answers that are not there."""

from __future__ import annotations

from collections.abc import Sequence

from jurist.chat import Sampling
from jurist.constitution import Principle
from jurist.contracts import Aggregator, Contract, Critic, Generator, Judge, Reviser, Scorer
from jurist.planning.rehearsal.answers import Answers, length_in, usage_of
from jurist.planning.rehearsal.tally import Tally
from jurist.records import (
    Comparison,
    Critique,
    CritiqueOutcome,
    Decision,
    Finding,
    JudgeOutcome,
    Judgment,
    Prompt,
    Response,
    ResponseOutcome,
    Score,
    ScoreOutcome,
)


class StandIn(Contract):
    """Counts the calls of a component that cannot be rehearsed: only the component knows what it asks."""

    def __init__(self, tally: Tally, answers: Answers) -> None:
        super().__init__(tally.selection.options)
        vars(self).update(capabilities=tally.selection.implementation.capabilities)
        self._tally = tally
        self._answers = answers


class StandInGenerator(StandIn, Generator):
    """Answers with a placeholder."""

    async def generate(self, prompt: Prompt, sampling: Sampling) -> ResponseOutcome:
        """A placeholder."""
        self._tally.is_new(prompt, sampling)
        return Response(text=self._answers.text(self._answers.length(sampling)))


class StandInCritic(StandIn, Critic):
    """Finds nothing by itself; a :class:`RehearsedCritic` says what it found."""

    async def critique(
        self, prompt: Prompt, response: Response, principles: Sequence[Principle]
    ) -> CritiqueOutcome:
        """Findings without a verdict."""
        self._tally.is_new(prompt, response, principles)
        # How long its text may be is not known either; this is what a response has where nothing is said.
        usage = usage_of(self._answers.length(Sampling()))
        findings = tuple(Finding(principle=each.name, satisfied=None) for each in principles)
        return Critique(findings=findings, usage=usage)


class StandInReviser(StandIn, Reviser):
    """Revises to a placeholder."""

    async def revise(
        self,
        prompt: Prompt,
        response: Response,
        critique: CritiqueOutcome,
        principles: Sequence[Principle],
        sampling: Sampling,
    ) -> ResponseOutcome:
        """A placeholder."""
        self._tally.is_new(prompt, response, critique, principles, sampling)
        return Response(text=self._answers.text(self._answers.length(sampling)))


class StandInJudge(StandIn, Judge):
    """Finds everything equally good."""

    async def judge(self, comparison: Comparison, principles: Sequence[Principle]) -> JudgeOutcome:
        """A tie."""
        self._tally.is_new(comparison, principles)
        return Judgment(preference=0.5)


class StandInScorer(StandIn, Scorer):
    """Scores everything the same."""

    async def score(
        self, prompt: Prompt, response: Response, principles: Sequence[Principle]
    ) -> ScoreOutcome:
        """Nought."""
        self._tally.is_new(prompt, response, principles)
        return Score(value=0.0)


class RehearsedCritic(Critic):
    """Asks a critic, and finds what fortune has it: no fault, or one in every principle.

    A critic that gives no verdicts never finds a response satisfactory. A critique is as long as the
    critic's answers were.
    """

    def __init__(self, inner: Critic, answers: Answers) -> None:
        super().__init__(inner.options)
        vars(self).update(capabilities=inner.capabilities)
        self._inner = inner
        self._answers = answers

    async def critique(
        self, prompt: Prompt, response: Response, principles: Sequence[Principle]
    ) -> CritiqueOutcome:
        """The same finding about every principle."""
        answered = await self._inner.critique(prompt, response, principles)
        text = self._answers.text(length_in(answered.usage))
        satisfied = self._answers.fortunate if "verdicts" in self.capabilities else None
        texts = [text, *[""] * (len(principles) - 1)]
        return Critique(
            findings=tuple(
                Finding(principle=principle.name, satisfied=satisfied, explanation=text)
                for principle, text in zip(principles, texts, strict=True)
            )
        )


class RehearsedJudge(Judge):
    """Asks a judge, and is as sure as fortune has it: of the same response in both orders, or of neither.

    Whoever would ask further is then content with the first answer, or has to ask all there are. Its
    preferences are from ``least`` to ``most``.
    """

    def __init__(self, inner: Judge, answers: Answers, least: float = 0.0, most: float = 1.0) -> None:
        super().__init__(inner.options)
        vars(self).update(capabilities=inner.capabilities)
        self._inner = inner
        self._fortunate = answers.fortunate
        self._least, self._most = least, most

    async def judge(self, comparison: Comparison, principles: Sequence[Principle]) -> JudgeOutcome:
        """As sure as it can be, or a tie."""
        await self._inner.judge(comparison, principles)
        if not self._fortunate:
            return Judgment(preference=0.5)
        is_first = comparison.id <= comparison.swapped().id
        return Judgment(preference=self._most if is_first else self._least)


class StandInAggregator(Aggregator):
    """Takes no notice of answers that nobody gave.

    The fortunate decision is always for the second response: a filter leaves nothing to the judges, and
    pairings that go by verdicts make the fewest comparisons. Else nothing is decided, and they make the most.
    """

    def __init__(self, aggregator: type[Aggregator], answers: Answers) -> None:
        super().__init__()
        vars(self).update(before_judging=aggregator.before_judging)
        self._answers = answers

    def decide(self, comparison: Comparison, outcomes: Sequence[JudgeOutcome]) -> Decision:
        """For the second response, or undecided."""
        if self._answers.fortunate:
            return Decision(status="decided", probability=0.0)
        return Decision(status="undecided", reason="undecided")
