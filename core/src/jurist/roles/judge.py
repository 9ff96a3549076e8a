"""The pairwise judge of any chat model."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import cached_property
from typing import Literal

from jurist.chat import ChatReply, ChatRequest, Sampling
from jurist.constitution import Principle
from jurist.contracts import ChatModel, Judge
from jurist.parsing import PREFERENCE, parse_verdict
from jurist.parsing.confidence import parse_confidence
from jurist.parsing.text import without_reasoning
from jurist.records import (
    NO_USAGE,
    Abstention,
    Comparison,
    Failure,
    JudgeOutcome,
    Judgment,
    Message,
    Prompt,
    Usage,
)
from jurist.roles.asking import Answer, TemplateRole, ask, call, sampled, unread
from jurist.roles.choices import chose, probabilities
from jurist.roles.judge_options import Example, JudgeOptions
from jurist.templates import Wording

CHOICES = ("A", "B")
SAMPLE_STRIDE = 1000
"""What cannot be read is asked for again under the next numbers, so samples keep a distance, always the
same: with more ``reasks`` all answers that were paid for are found again."""

Read = Callable[[ChatReply], float | None]
"""Reads P(A is better) from a reply; None where it does not say."""


class ChatJudge(TemplateRole, Judge):
    """Compares two responses, as shown: A first, B second."""

    Options = JudgeOptions
    options: JudgeOptions
    base_sampling = Sampling(temperature=0.0, max_tokens=1024)

    def __init__(self, model: ChatModel, options: JudgeOptions | None = None) -> None:
        super().__init__(model, options)
        self._turns: dict[tuple[str, str], tuple[Message, ...]] = {}

    async def judge(self, comparison: Comparison, principles: Sequence[Principle]) -> JudgeOutcome:
        """P(A is better), or why there is none."""
        words = self.words(comparison.prompt, principles)
        request = self._request(words, comparison, principles)
        if self._labels == "stated":
            return await self._as_written(request, NO_USAGE, self._stated, "stated")
        if self._labels == "verdict":
            return await self._as_written(request, NO_USAGE, _verdict, "verdict")
        if self.options.chain_of_thought:
            return await self._after_reasoning(request, words)
        return await self._by_choice(request)

    @cached_property
    def _labels(self) -> Literal["logprobs", "verdict", "stated"]:
        return self.options.labels_by(self.model.capabilities)

    def _template(self, words: Wording) -> str:
        if self._labels == "stated":
            return words.judge_reasoning_stated if self.options.chain_of_thought else words.judge_stated
        if self.options.chain_of_thought:
            return words.judge_reasoning
        return words.judge_choices if self._labels == "logprobs" else words.judge_verdict

    def _request(
        self, words: Wording, comparison: Comparison, principles: Sequence[Principle]
    ) -> ChatRequest:
        standards = words.standards(principles)
        before = self._examples(words, standards) if self.options.examples else ()
        values = self._values(words, comparison.response_a.text, comparison.response_b.text, standards)
        request = self.request(self._template(words), comparison.prompt, words, values, before)
        return sampled(request, comparison.sample * SAMPLE_STRIDE)

    def _values(self, words: Wording, response_a: str, response_b: str, standards: str) -> dict[str, str]:
        values = {"response_a": response_a, "response_b": response_b, "principles": standards}
        if self._labels == "stated":
            in_words = self.options.confidence == "words"
            values["confidence"] = words.confidence_words if in_words else words.confidence_number
        return values

    def _examples(self, words: Wording, standards: str) -> tuple[Message, ...]:
        """The turns of the examples, the same for all comparisons under one standard."""
        key = (words.verdict, standards)
        if key not in self._turns:
            self._turns[key] = tuple(
                turn for example in self.options.examples for turn in self._shown(example, words, standards)
            )
        return self._turns[key]

    def _shown(self, example: Example, words: Wording, standards: str) -> tuple[Message, ...]:
        """An example as it would have been asked about and answered."""
        principle = f"- {example.principle}" if example.principle else standards
        values = self._values(words, example.response_a, example.response_b, principle)
        asked = self.filled(self._template(words), Prompt(messages=example.prompt), words, values)
        answers = [self._answer(example, words)]
        if self._labels == "logprobs" and self.options.chain_of_thought:
            answers = [example.rationale, words.judge_final, example.verdict]
        roles: tuple[Literal["assistant", "user"], ...] = ("assistant", "user", "assistant")
        replies = [Message(role=role, content=text) for role, text in zip(roles, answers, strict=False)]
        return (Message(role="user", content=asked), *replies)

    def _answer(self, example: Example, words: Wording) -> str:
        if self._labels == "logprobs":
            return example.verdict
        lines = [example.rationale] if self.options.chain_of_thought else []
        lines.append(words.verdict + (words.tie if example.verdict == "tie" else example.verdict))
        if self._labels == "stated" and example.confidence is not None:
            lines.append(words.confidence + self._in_form(example.confidence, words))
        return "\n".join(lines)

    def _in_form(self, confidence: float, words: Wording) -> str:
        """A confidence as the judge is asked to state it."""
        if self.options.confidence == "number":
            return f"{100 * confidence:.0f}%"
        known = self.options.word_probabilities
        return words.levels[min(range(len(known)), key=lambda level: abs(known[level] - confidence))]

    def _stated(self, reply: ChatReply) -> float | None:
        """The verdict with its confidence; a tie needs none."""
        preference = _verdict(reply)
        if preference is None or preference == 0.5:
            return preference
        confidence = parse_confidence(reply.text, self.options.word_probabilities)
        if confidence is None:
            return None
        return confidence if preference else 1 - confidence

    async def _as_written(self, request: ChatRequest, spent: Usage, read: Read, method: str) -> JudgeOutcome:
        answer = await ask(self.model, request, read, self.options.reasks)
        usage = spent + answer.usage
        if not isinstance(answer, Answer):
            return answer.model_copy(update={"usage": usage})
        return Judgment(
            preference=answer.value,
            method=method,
            rationale=answer.reply.text if self.options.chain_of_thought else None,
            raw=answer.reply.text,
            usage=usage,
        )

    async def _by_choice(self, request: ChatRequest) -> JudgeOutcome:
        reply = await call(self.model, request.model_copy(update={"choices": CHOICES}), NO_USAGE)
        if isinstance(reply, Failure):
            return reply
        if reply.finish_reason == "refusal":
            return unread(reply, reply.usage)
        if chose(reply, CHOICES):
            return _soft(reply, reply.usage)
        if self.options.labels == "logprobs":
            return _not_chosen(reply, reply.usage)
        preference = _verdict(reply)
        if preference is not None:
            return Judgment(preference=preference, method="verdict", raw=reply.text, usage=reply.usage)
        if reply.finish_reason != "stop" or not self.options.reasks:
            return unread(reply, reply.usage)
        again = request.model_copy(update={"sample": request.sample + 1})
        return await self._as_written(again, reply.usage, _verdict, "verdict")

    async def _after_reasoning(self, request: ChatRequest, words: Wording) -> JudgeOutcome:
        """Two calls, as in the papers: the reasoning in text, then the choice after it.

        Reasoning that was cut off will do, since no verdict is read from it.
        """
        thought = await ask(
            self.model, request, lambda reply: without_reasoning(reply.text) or None, self.options.reasks
        )
        if not isinstance(thought, Answer):
            return thought
        turns = (
            *request.messages,
            Message(role="assistant", content=thought.value),
            Message(role="user", content=words.judge_final),
        )
        final = request.model_copy(update={"messages": turns, "choices": CHOICES})
        reply = await call(self.model, final, thought.usage)
        if isinstance(reply, Failure):
            return reply
        usage = thought.usage + reply.usage
        if reply.finish_reason == "refusal":
            return unread(reply, usage)
        if not chose(reply, CHOICES):
            return _not_chosen(reply, usage)
        outcome = _soft(reply, usage).model_copy(update={"raw": thought.reply.text})
        if not isinstance(outcome, Judgment):
            return outcome
        return outcome.model_copy(
            update={"preference": self._clamped(outcome.preference), "rationale": thought.value}
        )

    def _clamped(self, preference: float) -> float:
        low, high = self.options.clamp or (0.0, 1.0)
        return min(max(preference, low), high)


def _verdict(reply: ChatReply) -> float | None:
    """The preference of a whole reply; what is cut off might have gone on to say the opposite."""
    verdict = None if reply.finish_reason == "length" else parse_verdict(reply.text, CHOICES)
    return None if verdict is None else PREFERENCE[verdict]


def _soft(reply: ChatReply, usage: Usage) -> Judgment | Abstention:
    distribution = probabilities(reply, CHOICES)
    if distribution is None:
        detail = "none of the choices has a probability"
        return Abstention(reason="unparsed", detail=detail, raw=reply.text, usage=usage)
    return Judgment(preference=distribution[0], method="logprobs", raw=reply.text or reply.note, usage=usage)


def _not_chosen(reply: ChatReply, usage: Usage) -> Abstention:
    if reply.choice_logprobs is not None:
        return unread(reply, usage)
    detail = "the model gave no log-probabilities, and labels: logprobs asks for them"
    return Abstention(reason="missing", detail=detail, raw=reply.text, usage=usage)
