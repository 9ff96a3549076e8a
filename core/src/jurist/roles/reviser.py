"""The reviser of any chat model."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import ClassVar

from jurist.chat import Sampling
from jurist.constitution import Principle
from jurist.contracts import Reviser
from jurist.parsing.text import without_reasoning
from jurist.records import (
    Critique,
    CritiqueOutcome,
    Prompt,
    Response,
    ResponseOutcome,
)
from jurist.roles.asking import Answer, TemplateRole, ask
from jurist.roles.options import RoleOptions

LABEL = re.compile(
    r"\A\W{0,3}(?:revision|(?:revised|new) response|(?:修订后|修改后|新)的回答|修订|修改)"
    r"\W{0,3}[:\uff1a][\s*]*",
    re.IGNORECASE,
)


class ReviserOptions(RoleOptions):
    """Sampling options replace those of the call."""

    placeholders: ClassVar[frozenset[str]] = frozenset(
        {
            "conversation",
            "prompt",
            "response",
            "principles",
            "critique",
            "critique_request",
            "revision_request",
        }
    )
    required: ClassVar[frozenset[str]] = frozenset({"response"})


class ChatReviser(TemplateRole, Reviser):
    """Rewrites a response so that it heeds a critique.

    Where the critic gave no critique, the model is asked to rewrite by the principles alone.
    """

    Options = ReviserOptions
    options: ReviserOptions

    async def revise(
        self,
        prompt: Prompt,
        response: Response,
        critique: CritiqueOutcome,
        principles: Sequence[Principle],
        sampling: Sampling,
    ) -> ResponseOutcome:
        """The revised response; one that is cut off says so in its ``finish_reason``."""
        words = self.words(prompt, principles)
        has_critique = isinstance(critique, Critique)
        values = {
            "response": response.text,
            "principles": words.rules(principles),
            "critique": words.critique(critique) if isinstance(critique, Critique) else "",
            "critique_request": words.critique_requests(principles),
            "revision_request": words.revision_requests(principles),
        }
        template = words.reviser if has_critique else words.reviser_without_critique
        request = self.request(template, prompt, words, values)
        request = request.model_copy(update={"sampling": self.options.sampling(sampling)})
        answer = await ask(self.model, request, lambda reply: _revised(reply.text), self.options.reasks)
        if not isinstance(answer, Answer):
            return answer
        return Response(
            text=answer.value,
            finish_reason="length" if answer.reply.finish_reason == "length" else "stop",
            raw=answer.reply.text,
            usage=answer.usage,
        )


def _revised(text: str) -> str | None:
    """The response alone, without thoughts before it and a label in front of it; None if none is left."""
    return LABEL.sub("", without_reasoning(text)).strip() or None
