"""Asking a chat model until its answer can be read."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from pydantic import JsonValue

from jurist.chat import ChatReply, ChatRequest, Sampling
from jurist.constitution import Principle
from jurist.contracts import ChatModel, Contract
from jurist.errors import ProviderError
from jurist.records import Abstention, Failure, Message, Prompt, Usage, content_id
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
    spent = Usage()
    for attempt in range(reasks + 1):
        reply = await call(model, _again(request, attempt), spent)
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


def _again(request: ChatRequest, attempt: int) -> ChatRequest:
    """The request of an attempt: later ones are other samples, with another seed where there is one."""
    if not attempt:
        return request
    sampling = request.sampling
    if sampling.seed is not None:
        sampling = sampling.model_copy(update={"seed": sampling.seed + attempt})
    return request.model_copy(update={"sample": request.sample + attempt, "sampling": sampling})


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

    def words(self, prompt: Prompt, principles: Sequence[Principle]) -> Wording:
        """Core's texts in the language to use."""
        language = self.options.language
        return wording(language_of(principles, prompt) if language == "auto" else language)

    def request(
        self, template: str, prompt: Prompt, words: Wording, values: Mapping[str, str]
    ) -> ChatRequest:
        """The request for the options' template, or for ``template``, filled with ``values``."""
        complete = {
            "conversation": conversation_text(prompt, words),
            "prompt": prompt.messages[-1].content,
            **values,
        }
        template = self.options.template or template
        text = fill(template, complete)
        sampling = self.options.sampling(self.base_sampling)
        if sampling.temperature > 0:  # seeded by content, so that a repeated run gives the same answers
            sampling = sampling.model_copy(update={"seed": int(content_id(text)[:7], 16)})
        messages = self.framed([Message(role="user", content=text)])
        return ChatRequest(messages=messages, sampling=sampling, shared=shared_length(template, complete))
