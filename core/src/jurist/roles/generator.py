"""The generator of any chat model."""

from __future__ import annotations

from jurist.chat import ChatRequest, Sampling
from jurist.contracts import Generator
from jurist.records import Abstention, Failure, Prompt, Response, ResponseOutcome, Usage
from jurist.roles.asking import Role, call
from jurist.roles.options import SamplingOptions


class GeneratorOptions(SamplingOptions):
    """``system`` is put before the conversation; sampling options replace those of the call."""


class ChatGenerator(Role, Generator):
    """Sends the conversation as it is, and takes what comes back as the response."""

    Options = GeneratorOptions
    options: GeneratorOptions

    async def generate(self, prompt: Prompt, sampling: Sampling) -> ResponseOutcome:
        """One response; a refusal of the provider is an abstention."""
        request = ChatRequest(messages=self.framed(prompt.messages), sampling=self.options.sampling(sampling))
        reply = await call(self.model, request, Usage())
        if isinstance(reply, Failure):
            return reply
        if reply.finish_reason == "refusal":
            return Abstention(reason="refused", raw=reply.text, usage=reply.usage)
        return Response(text=reply.text, finish_reason=reply.finish_reason, raw=reply.text, usage=reply.usage)
