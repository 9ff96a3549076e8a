"""Asking a chat model until its answer can be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Generic, TypeVar

from pydantic import JsonValue

from jurist.chat import ChatReply, ChatRequest, Sampling
from jurist.constitution import Principle
from jurist.contracts import ChatModel, Contract
from jurist.errors import ProviderError
from jurist.records import NO_USAGE, Abstention, Failure, Message, Prompt, Usage, content_id
from jurist.roles.options import RoleOptions, SamplingOptions
from jurist.templates import Wording, conversation_text, fill, language_of, shared_length, wording

T = TypeVar("T")


@dataclass(frozen=True)
class Answer(Generic[T]):
    """An answer that could be read: its value, the reply it was read from, and what it all cost."""

    value: T
    reply: ChatReply
    usage: Usage


def unread(reply: ChatReply, usage: Usage) -> Abstention:
    """Why ``reply`` gave no answer."""
    if reply.finish_reason == "refusal":
        return Abstention(reason="refused", raw=reply.text, usage=usage)
    if reply.finish_reason == "length":
        detail = "the reply was cut off before its end; raise max_tokens"
        return Abstention(reason="truncated", detail=detail, raw=reply.text, usage=usage)
    return Abstention(reason="unparsed", raw=reply.text, usage=usage)


async def call(model: ChatModel, request: ChatRequest, spent: Usage) -> ChatReply | Failure:
    """One call. A failed one is a Failure that carries what was ``spent`` before it.

    Raises:
        ProviderError: no call of this model can succeed.
    """
    try:
        return await model.complete(request)
    except ProviderError as error:
        if error.fatal:
            raise
        text = f"{error.what} ({error.cause})" if error.cause else error.what
        return Failure(error=text, retryable=error.retryable, usage=spent)


async def ask(
    model: ChatModel, request: ChatRequest, read: Callable[[ChatReply], T | None], reasks: int
) -> Answer[T] | Abstention | Failure:
    """Ask, and ask again up to ``reasks`` times while the answer cannot be read.

    A refusal, and a cut-off reply that ``read`` makes nothing of, are not asked again: the next would be too.
    """
    spent = NO_USAGE
    for attempt in range(reasks + 1):
        reply = await call(model, sampled(request, attempt), spent)
        if isinstance(reply, Failure):
            return reply
        spent += reply.usage
        value = read(reply) if reply.finish_reason != "refusal" else None
        if value is not None:
            return Answer(value, reply, spent)
        last = unread(reply, spent)
        if reply.finish_reason != "stop":
            break
    return last


def sampled(request: ChatRequest, number: int) -> ChatRequest:
    """Another sample of the same request, so many after it; with another seed, where there is one."""
    if not number:
        return request
    sampling = request.sampling
    if sampling.seed is not None:
        sampling = sampling.model_copy(update={"seed": sampling.seed + number})
    return request.model_copy(update={"sample": request.sample + number, "sampling": sampling})


class Role(Contract):
    """What all five roles share: a chat model, which is closed with the role.

    A role is free, since what its calls cost is metered where they are made, at the model. So the ledger
    keeps the model's raw replies, and a replayed run reads them anew.
    """

    free = True
    options: SamplingOptions
    base_sampling = Sampling(temperature=0.0)

    def __init__(self, model: ChatModel, options: Any = None) -> None:
        super().__init__(options)
        self.model = model

    def identity(self) -> JsonValue:
        """The role's options and the model's identity."""
        return {
            "role": type(self).__name__,
            "options": self.options.identity(),
            "model": self.model.identity(),
        }

    async def close(self) -> None:
        """Close the model."""
        await self.model.close()

    def framed(self, messages: Sequence[Message]) -> tuple[Message, ...]:
        """``messages`` after the system message of the options, if there is one."""
        system = self.options.system
        opening = () if system is None else (Message(role="system", content=system),)
        return (*opening, *messages)


class TemplateRole(Role):
    """A role that speaks by a template."""

    options: RoleOptions

    @cached_property
    def _sampling(self) -> Sampling:
        return self.options.sampling(self.base_sampling)

    def words(self, prompt: Prompt, principles: Sequence[Principle]) -> Wording:
        """Core's texts in the language to use."""
        language = self.options.language
        return wording(language_of(principles, prompt) if language == "auto" else language)

    def request(
        self,
        template: str,
        prompt: Prompt,
        words: Wording,
        values: Mapping[str, str],
        before: Sequence[Message] = (),
    ) -> ChatRequest:
        """The request for the options' template, or for ``template``, filled with ``values``.

        It comes after the turns ``before``, which are the same in many requests.
        """
        template = self.options.template or template
        complete = _complete(prompt, words, values)
        text = fill(template, complete)
        sampling = self._sampling
        if sampling.temperature > 0:  # seeded by content, so that a repeated run gives the same answers
            sampling = sampling.model_copy(update={"seed": int(content_id(text)[:7], 16)})
        messages = self.framed([*before, Message(role="user", content=text)])
        shared = len(before[0].content) if before else shared_length(template, complete)
        return ChatRequest(messages=messages, sampling=sampling, shared=shared)

    def filled(self, template: str, prompt: Prompt, words: Wording, values: Mapping[str, str]) -> str:
        """The text of such a request alone."""
        return fill(self.options.template or template, _complete(prompt, words, values))


def _complete(prompt: Prompt, words: Wording, values: Mapping[str, str]) -> dict[str, str]:
    conversation = conversation_text(prompt, words)
    return {"conversation": conversation, "prompt": prompt.messages[-1].content, **values}
