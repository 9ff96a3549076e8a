"""The pairwise judge of any chat model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from pydantic import field_validator

from jurist.chat import ChatReply, ChatRequest, Sampling
from jurist.constitution import Principle
from jurist.contracts import Judge
from jurist.parsing import PREFERENCE, Verdict, parse_verdict
from jurist.parsing.text import without_reasoning
from jurist.records import Abstention, Comparison, Failure, JudgeOutcome, Judgment, Message, Usage
from jurist.roles.asking import Answer, TemplateRole, ask, call, unread
from jurist.roles.choices import probabilities
from jurist.roles.options import Labels, RoleOptions
from jurist.templates import Wording

CHOICES = ("A", "B")


class JudgeOptions(RoleOptions):
    """``labels``: where the soft label comes from.

    ``logprobs``: the log-probabilities of the two choices; ``verdict``: what the model wrote; ``auto``:
    log-probabilities where the model gives them and no chain of thought is asked for.
    ``chain_of_thought``: reason before the verdict. ``clamp``: bounds of a soft label that comes after a
    chain of thought, which makes models overconfident (the Constitutional AI paper's are the default);
    written verdicts are never clamped. A written verdict counts only in a reply that is whole; reasons that
    are cut off at ``max_tokens`` still lead to a choice, which comes from log-probabilities of its own.
    """

    placeholders: ClassVar[frozenset[str]] = frozenset(
        {"conversation", "prompt", "response_a", "response_b", "principles"}
    )
    required: ClassVar[frozenset[str]] = frozenset({"response_a", "response_b"})

    labels: Labels = "auto"
    chain_of_thought: bool = False
    clamp: tuple[float, float] | None = (0.4, 0.6)

    @field_validator("clamp")
    @classmethod
    def _bounds(cls, clamp: tuple[float, float] | None) -> tuple[float, float] | None:
        if clamp is not None and not 0 <= clamp[0] <= 0.5 <= clamp[1] <= 1:
            raise ValueError("expected two numbers from 0 to 1 with 0.5 between them")
        return clamp


class ChatJudge(TemplateRole, Judge):
    """Compares two responses, as shown: A first, B second."""

    Options = JudgeOptions
    options: JudgeOptions
    base_sampling = Sampling(temperature=0.0, max_tokens=1024)

    async def judge(self, comparison: Comparison, principles: Sequence[Principle]) -> JudgeOutcome:
        """P(A is better), or why there is none."""
        words = self.words(comparison.prompt, principles)
        if not self._by_logprobs():
            template = words.judge_reasoning if self.options.chain_of_thought else words.judge_verdict
            return await self._by_verdict(self._request(template, words, comparison, principles), Usage())
        if self.options.chain_of_thought:
            request = self._request(words.judge_reasoning, words, comparison, principles)
            return await self._after_reasoning(request, words)
        return await self._by_choice(self._request(words.judge_choices, words, comparison, principles))

    def _by_logprobs(self) -> bool:
        if self.options.labels == "auto":
            return "logprobs" in self.model.capabilities and not self.options.chain_of_thought
        return self.options.labels == "logprobs"

    def _request(
        self, template: str, words: Wording, comparison: Comparison, principles: Sequence[Principle]
    ) -> ChatRequest:
        values = {
            "response_a": comparison.response_a.text,
            "response_b": comparison.response_b.text,
            "principles": words.standards(principles),
        }
        return self.request(template, comparison.prompt, words, values)

    async def _by_verdict(self, request: ChatRequest, spent: Usage) -> JudgeOutcome:
        answer: Answer[Verdict] | Abstention | Failure = await ask(
            self.model, request, _verdict, self.options.reasks
        )
        usage = spent + answer.usage
        if not isinstance(answer, Answer):
            return answer.model_copy(update={"usage": usage})
        return Judgment(
            preference=PREFERENCE[answer.value],
            method="verdict",
            rationale=answer.reply.text if self.options.chain_of_thought else None,
            raw=answer.reply.text,
            usage=usage,
        )

    async def _by_choice(self, request: ChatRequest) -> JudgeOutcome:
        reply = await call(self.model, request.model_copy(update={"choices": CHOICES}), Usage())
        if isinstance(reply, Failure):
            return reply
        if reply.choice_logprobs is not None:
            return _soft(reply, reply.usage)
        if self.options.labels == "logprobs":
            return _no_logprobs(reply, reply.usage)
        verdict = None if reply.finish_reason == "refusal" else _verdict(reply)
        if verdict is not None:
            return Judgment(
                preference=PREFERENCE[verdict], method="verdict", raw=reply.text, usage=reply.usage
            )
        if reply.finish_reason != "stop" or not self.options.reasks:
            return unread(reply, reply.usage)
        return await self._by_verdict(request.model_copy(update={"sample": request.sample + 1}), reply.usage)

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
        if reply.choice_logprobs is None:
            return _no_logprobs(reply, usage)
        outcome = _soft(reply, usage).model_copy(update={"raw": thought.reply.text})
        if not isinstance(outcome, Judgment):
            return outcome
        return outcome.model_copy(
            update={"preference": self._clamped(outcome.preference), "rationale": thought.value}
        )

    def _clamped(self, preference: float) -> float:
        low, high = self.options.clamp or (0.0, 1.0)
        return min(max(preference, low), high)


def _verdict(reply: ChatReply) -> Verdict | None:
    """The verdict of a whole reply; what is cut off might have gone on to say the opposite."""
    return None if reply.finish_reason == "length" else parse_verdict(reply.text, CHOICES)


def _soft(reply: ChatReply, usage: Usage) -> Judgment | Abstention:
    distribution = probabilities(reply, len(CHOICES))
    if distribution is None:
        detail = "none of the choices has a probability"
        return Abstention(reason="unparsed", detail=detail, raw=reply.text, usage=usage)
    return Judgment(preference=distribution[0], method="logprobs", raw=reply.text, usage=usage)


def _no_logprobs(reply: ChatReply, usage: Usage) -> Abstention:
    if reply.finish_reason == "refusal":
        return Abstention(reason="refused", raw=reply.text, usage=usage)
    detail = "the model gave no log-probabilities, and labels: logprobs asks for them"
    return Abstention(reason="missing", detail=detail, raw=reply.text, usage=usage)
