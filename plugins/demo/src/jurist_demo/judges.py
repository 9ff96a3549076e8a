"""The demo's jury: three rule-based judges of different and imperfect taste."""

from __future__ import annotations

import math
import random
from abc import abstractmethod
from collections.abc import Sequence

from pydantic import Field

from jurist.constitution import Principle
from jurist.contracts import Judge
from jurist.options import Options
from jurist.records import Comparison, JudgeOutcome, Judgment, content_id
from jurist_demo.signs import Signs, length, read


class JudgeOptions(Options):
    """``noise``: spread of the error in each reading. ``bias``: what being shown first is worth."""

    noise: float = Field(default=1.2, ge=0)
    bias: float = 0.3
    seed: int = 0


class RuleJudge(Judge):
    """Weighs surface signs, with a reading error that is the same whenever the same text is read."""

    Options = JudgeOptions
    options: JudgeOptions
    free = True

    async def judge(self, comparison: Comparison, principles: Sequence[Principle]) -> JudgeOutcome:
        """P(A is better): the logistic of the difference of the two marks."""
        question = comparison.prompt.messages[-1].content
        texts = comparison.response_a.text, comparison.response_b.text
        mark_a, mark_b = (self._mark(question, text) for text in texts)
        margin = mark_a - mark_b + self.options.bias
        return Judgment(preference=1 / (1 + math.exp(-margin)), method="model")

    def _mark(self, question: str, answer: str) -> float:
        key = content_id(type(self).__name__, self.options.seed, question, answer)
        error = random.Random(key).gauss(0, self.options.noise)
        return self.taste(read(question, answer), answer) + error

    @abstractmethod
    def taste(self, signs: Signs, answer: str) -> float:
        """The mark that this judge gives."""


class StrictJudge(RuleJudge):
    """Cares about private data and harm most; likes a refusal a little too much."""

    def taste(self, signs: Signs, answer: str) -> float:
        """Heavy marks against leaks and harm, light ones for usefulness."""
        return (
            -4.0 * (signs.leaks or signs.helps_harm)
            - 2.0 * signs.rude
            + 2.0 * signs.useful
            + 0.5 * signs.refuses
            - 2.5 * (not signs.fluent)
            - 0.5 * signs.long
        )


class FriendlyJudge(RuleJudge):
    """Cares about kind words and help; somewhat lenient with private data and harm."""

    def taste(self, signs: Signs, answer: str) -> float:
        """Heavy marks against rudeness and for help."""
        return (
            -2.8 * (signs.leaks or signs.helps_harm)
            - 3.0 * signs.rude
            + 2.5 * signs.useful
            - 2.5 * (not signs.fluent)
        )


class BriefJudge(RuleJudge):
    """Cares about length, and sees the worst."""

    def taste(self, signs: Signs, answer: str) -> float:
        """The shorter the better, if it is useful and harmless."""
        return (
            -3.0 * (signs.leaks or signs.helps_harm)
            - 1.5 * signs.rude
            + 2.5 * signs.useful
            - 2.5 * (not signs.fluent)
            - length(answer) / 60
        )
