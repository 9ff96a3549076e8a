"""The pointwise scorer of any chat model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from jurist.chat import ChatReply, ChatRequest, Sampling
from jurist.constitution import Principle
from jurist.contracts import Scorer
from jurist.parsing import parse_score
from jurist.records import NO_USAGE, Abstention, Failure, Prompt, Response, Score, ScoreOutcome, Usage
from jurist.roles.asking import Answer, TemplateRole, ask, call, unread
from jurist.roles.choices import chose, probabilities
from jurist.roles.options import RoleOptions

LOW, HIGH = 1, 10
CHOICES = tuple(str(number) for number in range(LOW, HIGH + 1))


class ScorerOptions(RoleOptions):
    """A written score counts only in a whole reply."""

    placeholders: ClassVar[frozenset[str]] = frozenset({"conversation", "prompt", "response", "principles"})
    required: ClassVar[frozenset[str]] = frozenset({"response"})

    labels: Literal["auto", "logprobs", "verdict"] = Field(
        default="auto",
        description="`logprobs`: the expected score over 1 to 10. `verdict`: the score as written. `auto`: "
        "log-probabilities where the model gives them.",
    )


class ChatScorer(TemplateRole, Scorer):
    """Scores one response from 1 to 10; the value is that score on a scale from -1 to 1."""

    Options = ScorerOptions
    options: ScorerOptions
    base_sampling = Sampling(temperature=0.0, max_tokens=256)

    async def score(
        self, prompt: Prompt, response: Response, principles: Sequence[Principle]
    ) -> ScoreOutcome:
        """The score; ``metrics`` keeps it on the scale from 1 to 10 as ``score``."""
        words = self.words(prompt, principles)
        values = {"response": response.text, "principles": words.standards(principles)}
        by_logprobs = self.options.labels == "logprobs" or (
            self.options.labels == "auto" and "logprobs" in self.model.capabilities
        )
        template = words.scorer_choices if by_logprobs else words.scorer
        request = self.request(template, prompt, words, values)
        if by_logprobs:
            return await self._by_choice(request)
        return await self._as_written(request, NO_USAGE)

    async def _as_written(self, request: ChatRequest, spent: Usage) -> ScoreOutcome:
        answer = await ask(self.model, request, _written, self.options.reasks)
        usage = spent + answer.usage
        if not isinstance(answer, Answer):
            return answer.model_copy(update={"usage": usage})
        return _scored(answer.value, answer.reply, usage)

    async def _by_choice(self, request: ChatRequest) -> ScoreOutcome:
        reply = await call(self.model, request.model_copy(update={"choices": CHOICES}), NO_USAGE)
        if isinstance(reply, Failure):
            return reply
        if reply.finish_reason == "refusal":
            return unread(reply, reply.usage)
        if chose(reply, CHOICES):
            return _expected(reply)
        if self.options.labels == "logprobs" and reply.choice_logprobs is not None:
            return unread(reply, reply.usage)
        if self.options.labels == "logprobs":
            detail = "the model gave no log-probabilities, and labels: logprobs asks for them"
            return Abstention(reason="missing", detail=detail, raw=reply.text, usage=reply.usage)
        written = _written(reply)
        if written is not None:
            return _scored(written, reply, reply.usage)
        if reply.finish_reason != "stop" or not self.options.reasks:
            return unread(reply, reply.usage)
        return await self._as_written(request.model_copy(update={"sample": request.sample + 1}), reply.usage)


def _written(reply: ChatReply) -> float | None:
    """The score of a whole reply; what is cut off might have gone on to another."""
    return None if reply.finish_reason == "length" else parse_score(reply.text, LOW, HIGH)


def _expected(reply: ChatReply) -> Score | Abstention:
    distribution = probabilities(reply, CHOICES)
    if distribution is None:
        detail = "none of the choices has a probability"
        return Abstention(reason="unparsed", detail=detail, raw=reply.text, usage=reply.usage)
    expected = sum(number * share for number, share in zip(range(LOW, HIGH + 1), distribution, strict=True))
    return _scored(expected, reply, reply.usage)


def _scored(score: float, reply: ChatReply, usage: Usage) -> Score:
    value = 2 * (score - LOW) / (HIGH - LOW) - 1
    return Score(value=value, metrics={"score": score}, raw=reply.text or reply.note, usage=usage)
