"""What a judge promises."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

import pytest

from jurist.contracts import Judge
from jurist.judges.of_judges import JudgeOfJudges, inner_references
from jurist.records import Abstention, Comparison, Judgment, Response
from jurist.testing.fakes import ConstantJudge
from jurist.testing.kit.answering import AnsweringContract, Question, prompt_with
from jurist.testing.kit.component import assert_finite
from jurist.testing.kit.samples import sample_comparisons


class JudgeContract(AnsweringContract):
    """Tests of a judge. Override :meth:`samples` if yours cannot judge any comparison it is given."""

    contract = Judge
    answer = Judgment
    known_capabilities: ClassVar[frozenset[str]] = frozenset({"symmetric"})

    def make(self, options: Any) -> Any:
        """A new judge; one of judges asks a :class:`jurist.testing.ConstantJudge` in every place."""
        if not issubclass(self.component, JudgeOfJudges):
            return super().make(options)
        places = inner_references(self.component.Options, options.model_dump())
        return self.component(options, {place: ConstantJudge(preference=0.9) for place, _ in places})

    def samples(self) -> Sequence[Comparison]:
        """Comparisons of which the judge can judge at least one; English and Chinese by default."""
        return sample_comparisons()

    def questions(self) -> Sequence[Question]:
        """Every sample under no principle and under several."""
        return [(sample, principles) for sample in self.samples() for principles in ((), self.principles)]

    def question_about(self, text: str) -> Sequence[Question]:
        """``text`` as A, as B, as both, and as the prompt."""
        sample, odd = self.samples()[0], Response(text=text)
        changes: list[dict[str, object]] = [
            {"response_a": odd},
            {"response_b": odd},
            {"response_a": odd, "response_b": odd},
            {"prompt": prompt_with(text, sample.prompt)},
        ]
        return [(sample.model_copy(update=change), self.principles[:1]) for change in changes]

    def call(self, component: Any) -> Callable[..., Awaitable[Any]]:
        """``judge``."""
        judge: Callable[..., Awaitable[Any]] = component.judge
        return judge

    def value(self, outcome: Any) -> Any:
        """The preference."""
        return float(outcome.preference)

    def test_preferences_are_probabilities(self) -> None:
        """Give P(A is better) from 0 to 1; abstain when there is none, NaN is no preference."""
        for outcome in self.outcomes(self.questions()):
            if isinstance(outcome, Judgment):
                assert_finite(outcome.preference)
                assert 0 <= outcome.preference <= 1

    def test_symmetric_judges_are_symmetric(self) -> None:
        """Remove the capability ``symmetric``, or make p(A, B) + p(B, A) = 1 for every comparison."""
        self.skip_unless_capable_of("symmetric")
        samples = self.samples()
        shown = self.outcomes([(sample, ()) for sample in samples])
        swapped = self.outcomes([(sample.swapped(), ()) for sample in samples])
        for one, other in zip(shown, swapped, strict=True):
            if isinstance(one, Judgment | Abstention) and isinstance(other, Judgment | Abstention):
                assert type(one) is type(other)
            if isinstance(one, Judgment) and isinstance(other, Judgment):
                assert one.preference + other.preference == pytest.approx(1, abs=self.tolerance)
