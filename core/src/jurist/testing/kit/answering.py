"""What every component that answers questions about text promises: judges, critics, writers, scorers."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ClassVar

import pytest

from jurist.constitution import Principle
from jurist.errors import ProviderError
from jurist.records import Abstention, Failure, Message, Outcome, Prompt, Record, Response
from jurist.testing.kit.component import ComponentContract, assert_finite, assert_survives_json
from jurist.testing.kit.samples import HOSTILE_TEXTS, PRINCIPLES

CONCURRENT = 24
Question = tuple[Any, ...]


class AnsweringContract(ComponentContract):
    """Tests of a component that gives one outcome per question: an answer, an Abstention or a Failure."""

    answer: ClassVar[type[Outcome]]
    principles: ClassVar[tuple[Principle, ...]] = PRINCIPLES
    """Override it if the component knows only principles of its own; two or more show their order."""
    tolerance: ClassVar[float] = 0.01
    """How far a number may move when questions are asked together (batches are padded)."""

    def questions(self) -> Sequence[Question]:
        """The arguments of each call to the component's main method."""
        raise NotImplementedError

    def question_about(self, text: str) -> Sequence[Question]:
        """Questions that contain ``text`` as a response or prompt to be dealt with."""
        raise NotImplementedError

    def call(self, component: Any) -> Callable[..., Awaitable[Any]]:
        """The component's main method."""
        raise NotImplementedError

    def value(self, outcome: Any) -> Any:
        """What two answers to one question must have in common."""
        return getattr(outcome, "text", None)

    def outcomes(
        self, questions: Sequence[Question], *, together: bool = False
    ) -> list[Outcome | ProviderError]:
        """The component's outcome for each question, checked for its type."""
        outcomes = self.ask(questions, lambda made, asked: self.call(made)(*asked), together=together)
        allowed = {self.answer, Abstention, Failure}
        for outcome in outcomes:
            assert isinstance(outcome, ProviderError) or type(outcome) in allowed, (
                f"returned {outcome!r}, which is neither {self.answer.__name__} nor Abstention nor Failure"
            )
        return outcomes

    def test_answers(self) -> None:
        """Return the contract's answer, an Abstention or a Failure; override the samples if none suits."""
        outcomes = self.outcomes(self.questions())
        answered = [outcome for outcome in outcomes if isinstance(outcome, self.answer)]
        assert answered, (
            f"not one {self.answer.__name__} among {len(outcomes)} outcomes, such as {outcomes[:1]}; "
            "if the samples do not suit your component, override samples()"
        )

    def test_outcomes_survive_json(self) -> None:
        """Put only JSON values into outcomes: they are stored as JSON lines and read back."""
        for outcome in self.outcomes(self.questions()):
            if isinstance(outcome, Record):
                assert_survives_json(outcome)

    def test_usage_is_plausible(self) -> None:
        """Report tokens, money and seconds as finite numbers from 0, or leave them out."""
        for outcome in self.outcomes(self.questions()):
            if isinstance(outcome, Outcome):
                for amount in outcome.usage.model_dump().values():
                    assert_finite(amount)
                    assert amount >= 0

    def test_same_question_same_answer(self) -> None:
        """Keep nothing between calls that changes an answer; a component that samples has ``temperature``."""
        self.skip_unless_deterministic()
        questions = self.questions()
        first, second = self.outcomes(questions), self.outcomes(questions)
        for before, after in zip(first, second, strict=True):
            self.assert_same(before, after)

    def test_concurrent_calls_keep_their_questions(self) -> None:
        """Give each call the answer to its own question, however many are in flight at once."""
        self.skip_unless_deterministic()
        questions = list(self.questions())
        many = (questions * CONCURRENT)[: max(CONCURRENT, len(questions))]
        alone = self.outcomes(questions)
        for number, outcome in enumerate(self.outcomes(many, together=True)):
            self.assert_same(alone[number % len(questions)], outcome)

    def test_empty_text_is_handled(self) -> None:
        """Abstain on empty or blank text if nothing can be said of it; do not raise."""
        for text in ("", " \n"):
            self.outcomes(self.question_about(text))

    def test_hostile_text_is_handled(self) -> None:
        """Treat text from models as data: control characters, templates and orders in it change nothing."""
        for text in HOSTILE_TEXTS:
            self.outcomes(self.question_about(text))

    def assert_same(self, before: object, after: object) -> None:
        """Both outcomes are answers of the same value, or not answers for the same reason."""
        if isinstance(before, ProviderError | Failure) or isinstance(after, ProviderError | Failure):
            return
        assert type(before) is type(after)
        if isinstance(before, Abstention) and isinstance(after, Abstention):
            assert after.reason == before.reason
        elif isinstance(value := self.value(before), float):
            assert self.value(after) == pytest.approx(value, abs=self.tolerance)
        else:
            assert self.value(after) == value


def prompt_with(text: str, prompt: Prompt) -> Prompt:
    """``prompt`` with all its tags and metadata, but asking ``text``."""
    return prompt.model_copy(update={"messages": (Message(role="user", content=text),)})


def responses_with(text: str) -> list[Response]:
    """``text`` as a response, cut and whole."""
    return [Response(text=text), Response(text=text, finish_reason="length")]
