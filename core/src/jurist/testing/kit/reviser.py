"""What a reviser promises."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from jurist.contracts import Reviser
from jurist.records import Critique, Finding, Prompt, Response
from jurist.testing.kit.answering import AnsweringContract, Question, prompt_with, responses_with
from jurist.testing.kit.generator import GREEDY
from jurist.testing.kit.samples import sample_responses


class ReviserContract(AnsweringContract):
    """Tests of a reviser. Override :meth:`samples` if yours cannot revise just any response."""

    contract = Reviser
    answer = Response

    def samples(self) -> Sequence[tuple[Prompt, Response]]:
        """Responses, with their prompts, that the reviser can revise; English and Chinese by default."""
        return sample_responses()

    def questions(self) -> Sequence[Question]:
        """Every sample, after a critique with a verdict and after one without."""
        return [
            (*sample, self._critique(satisfied), self.principles[:1], GREEDY)
            for sample in self.samples()
            for satisfied in (False, None)
        ]

    def question_about(self, text: str) -> Sequence[Question]:
        """``text`` as the response, as the critique and as the prompt."""
        prompt, plain = self.samples()[0]
        texts = [(prompt, odd, "Too short.") for odd in responses_with(text)]
        texts += [(prompt, plain, text), (prompt_with(text, prompt), plain, "Too short.")]
        return [
            (asked, response, self._critique(False, explanation), self.principles[:1], GREEDY)
            for asked, response, explanation in texts
        ]

    def call(self, component: Any) -> Callable[..., Awaitable[Any]]:
        """``revise``."""
        revise: Callable[..., Awaitable[Any]] = component.revise
        return revise

    def _critique(self, satisfied: bool | None, explanation: str = "It leaves out the danger.") -> Critique:
        finding = Finding(principle=self.principles[0].name, satisfied=satisfied, explanation=explanation)
        return Critique(findings=(finding,))
