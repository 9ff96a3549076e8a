"""The critic of any chat model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Literal

from pydantic import Field

from jurist.chat import ChatReply, Sampling
from jurist.constitution import Principle
from jurist.contracts import ChatModel, Critic
from jurist.parsing import parse_findings
from jurist.parsing.text import without_reasoning
from jurist.records import Abstention, Critique, CritiqueOutcome, Failure, Finding, Prompt, Response, Usage
from jurist.roles.asking import Answer, TemplateRole, ask
from jurist.roles.options import RoleOptions


class CriticOptions(RoleOptions):
    """A critique that is cut off at ``max_tokens`` counts only if it has every verdict (``mode: rules``)."""

    placeholders: ClassVar[frozenset[str]] = frozenset(
        {"conversation", "prompt", "response", "principles", "critique_request"}
    )
    required: ClassVar[frozenset[str]] = frozenset({"response"})

    mode: Literal["rules", "free"] = Field(
        default="rules",
        description="`rules`: a verdict on every principle, all in one call. `free`: a critique in prose, "
        "one call for each principle, without verdicts, as in the Constitutional AI paper.",
    )


class ChatCritic(TemplateRole, Critic):
    """Holds a response against principles.

    A principle with checks is decided by its checks; the model is asked about the others only.
    """

    Options = CriticOptions
    options: CriticOptions
    base_sampling = Sampling(temperature=0.0, max_tokens=2048)

    def __init__(self, model: ChatModel, options: CriticOptions | None = None) -> None:
        super().__init__(model, options)
        if self.options.mode == "rules":
            vars(self).update(capabilities=frozenset({"verdicts"}))

    async def critique(
        self, prompt: Prompt, response: Response, principles: Sequence[Principle]
    ) -> CritiqueOutcome:
        """One finding for each of ``principles``, or an abstention or failure about all of them."""
        checked = {p.name: finding for p in principles if (finding := p.check(response.text))}
        open_ones = [p for p in principles if p.name not in checked]
        answered = await self._ask_model(prompt, response, open_ones)
        if not isinstance(answered, Answer):
            return answered
        found = checked | {finding.principle: finding for finding in answered.value}
        return Critique(
            findings=tuple(found[p.name] for p in principles),
            raw=answered.reply.text if open_ones else None,
            usage=answered.usage,
        )

    async def _ask_model(
        self, prompt: Prompt, response: Response, principles: Sequence[Principle]
    ) -> Answer[tuple[Finding, ...]] | Abstention | Failure:
        if not principles:
            return Answer((), ChatReply(), Usage())
        if self.options.mode == "rules":
            return await self._by_rules(prompt, response, principles)
        return await self._freely(prompt, response, principles)

    async def _by_rules(
        self, prompt: Prompt, response: Response, principles: Sequence[Principle]
    ) -> Answer[tuple[Finding, ...]] | Abstention | Failure:
        words = self.words(prompt, principles)
        names = [p.name for p in principles]
        values = {
            "response": response.text,
            "principles": words.rules(principles),
            "critique_request": words.critique_requests(principles),
        }
        request = self.request(words.critic_rules, prompt, words, values)
        return await ask(
            self.model, request, lambda reply: parse_findings(reply.text, names), self.options.reasks
        )

    async def _freely(
        self, prompt: Prompt, response: Response, principles: Sequence[Principle]
    ) -> Answer[tuple[Finding, ...]] | Abstention | Failure:
        """One call per principle; the first that gives no critique ends it."""
        findings: list[Finding] = []
        texts: list[str] = []
        spent = Usage()
        for principle in principles:
            words = self.words(prompt, [principle])
            values = {
                "response": response.text,
                "principles": words.rules([principle]),
                "critique_request": words.critique_requests([principle]),
            }
            request = self.request(words.critic_free, prompt, words, values)
            answer = await ask(self.model, request, _prose, self.options.reasks)
            spent += answer.usage
            if not isinstance(answer, Answer):
                return answer.model_copy(update={"usage": spent})
            findings.append(Finding(principle=principle.name, satisfied=None, explanation=answer.value))
            texts.append(answer.reply.text)
        return Answer(tuple(findings), ChatReply(text="\n\n".join(texts)), spent)


def _prose(reply: ChatReply) -> str | None:
    """The critique of a whole reply; one that is cut off has not come to its end."""
    return None if reply.finish_reason == "length" else without_reasoning(reply.text) or None
