"""What a critic promises."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

from jurist.contracts import Critic
from jurist.records import Critique, Prompt, Response
from jurist.testing.kit.answering import AnsweringContract, Question, prompt_with, responses_with
from jurist.testing.kit.samples import sample_responses


class CriticContract(AnsweringContract):
    """Tests of a critic. Override :meth:`samples` if yours cannot criticise just any response."""

    contract = Critic
    answer = Critique
    known_capabilities: ClassVar[frozenset[str]] = frozenset({"verdicts"})

    def samples(self) -> Sequence[tuple[Prompt, Response]]:
        """Responses, with their prompts, that the critic can criticise; English and Chinese by default."""
        return sample_responses()

    def questions(self) -> Sequence[Question]:
        """Every sample under one principle, and under several in both directions."""
        several = (self.principles[:1], self.principles, self.principles[::-1])
        return [(*sample, principles) for sample in self.samples() for principles in several]

    def question_about(self, text: str) -> Sequence[Question]:
        """``text`` as the response and as the prompt."""
        prompt, plain = self.samples()[0]
        found: list[Question] = [(prompt, odd, self.principles) for odd in responses_with(text)]
        return [*found, (prompt_with(text, prompt), plain, self.principles)]

    def call(self, component: Any) -> Callable[..., Awaitable[Any]]:
        """``critique``."""
        critique: Callable[..., Awaitable[Any]] = component.critique
        return critique

    def value(self, outcome: Any) -> Any:
        """The verdicts."""
        return [(finding.principle, finding.satisfied) for finding in outcome.findings]

    def test_one_finding_per_principle_in_order(self) -> None:
        """Return one Finding for each principle asked about, in their order and under their names."""
        questions = self.questions()
        for (_, _, principles), outcome in zip(questions, self.outcomes(questions), strict=True):
            if isinstance(outcome, Critique):
                assert [f.principle for f in outcome.findings] == [p.name for p in principles]

    def test_verdicts_are_given(self) -> None:
        """Remove the capability ``verdicts``, or say satisfied or violated; abstain rather than None."""
        self.skip_unless_capable_of("verdicts")
        for outcome in self.outcomes(self.questions()):
            if isinstance(outcome, Critique):
                assert all(isinstance(finding.satisfied, bool) for finding in outcome.findings)
