"""What a generator promises."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from jurist.chat import Sampling
from jurist.contracts import Generator
from jurist.records import Prompt, Response
from jurist.testing.kit.answering import AnsweringContract, Question, prompt_with
from jurist.testing.kit.samples import PROMPTS

GREEDY = Sampling(temperature=0, max_tokens=64, seed=7)


class GeneratorContract(AnsweringContract):
    """Tests of a generator. Override :meth:`samples` if yours cannot answer just any prompt."""

    contract = Generator
    answer = Response

    def samples(self) -> Sequence[Prompt]:
        """Prompts that the generator can answer; English, Chinese and a longer conversation by default."""
        return PROMPTS

    def questions(self) -> Sequence[Question]:
        """Every sample, greedily."""
        return [(sample, GREEDY) for sample in self.samples()]

    def question_about(self, text: str) -> Sequence[Question]:
        """``text`` as the prompt."""
        return [(prompt_with(text, self.samples()[0]), GREEDY)]

    def call(self, component: Any) -> Callable[..., Awaitable[Any]]:
        """``generate``."""
        generate: Callable[..., Awaitable[Any]] = component.generate
        return generate

    def test_sampling_is_taken(self) -> None:
        """Heed every part of ``sampling``; what cannot be done is a ProviderError, not another exception."""
        warm = Sampling(temperature=1.3, top_p=0.9, max_tokens=1, stop=("\n",), seed=None)
        for outcome in self.outcomes([(sample, warm) for sample in self.samples()]):
            if isinstance(outcome, Response):
                assert outcome.usage.completion_tokens <= warm.max_tokens
