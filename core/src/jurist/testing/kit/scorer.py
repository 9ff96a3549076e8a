"""What a scorer promises."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from jurist.contracts import Scorer
from jurist.records import Prompt, Response, Score
from jurist.testing.kit.answering import AnsweringContract, Question, prompt_with, responses_with
from jurist.testing.kit.component import assert_finite
from jurist.testing.kit.samples import sample_responses


class ScorerContract(AnsweringContract):
    """Tests of a scorer. Override :meth:`samples` if yours cannot score just any response."""

    contract = Scorer
    answer = Score

    def samples(self) -> Sequence[tuple[Prompt, Response]]:
        """Responses, with their prompts, that the scorer can score; English and Chinese by default."""
        return sample_responses()

    def questions(self) -> Sequence[Question]:
        """Every sample under no principle and under several."""
        return [(*sample, principles) for sample in self.samples() for principles in ((), self.principles)]

    def question_about(self, text: str) -> Sequence[Question]:
        """``text`` as the response and as the prompt."""
        prompt, plain = self.samples()[0]
        found: list[Question] = [(prompt, odd, self.principles) for odd in responses_with(text)]
        return [*found, (prompt_with(text, prompt), plain, self.principles)]

    def call(self, component: Any) -> Callable[..., Awaitable[Any]]:
        """``score``."""
        score: Callable[..., Awaitable[Any]] = component.score
        return score

    def value(self, outcome: Any) -> Any:
        """The score."""
        return float(outcome.value)

    def test_scores_are_finite(self) -> None:
        """Give finite numbers; abstain when there is none."""
        for outcome in self.outcomes(self.questions()):
            if isinstance(outcome, Score):
                for number in (outcome.value, *outcome.metrics.values()):
                    assert_finite(number)
