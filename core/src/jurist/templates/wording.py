"""Wording: the texts that each language provides."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from jurist.constitution import Principle
from jurist.records import Critique, Role


@dataclass(frozen=True)
class Wording:
    """The templates of one language and the phrases that fill them.

    ``judge_final`` asks for the choice after the reasoning that ``judge_reasoning`` asked for.
    ``judge_stated`` and ``judge_reasoning_stated`` ask for a confidence too, which is ``confidence_number``
    or ``confidence_words``; ``levels`` are those words, the lowest first.
    ``any_principle`` stands in for the principles where there are none.
    """

    speakers: Mapping[Role, str]
    critic_rules: str
    critic_free: str
    reviser: str
    reviser_without_critique: str
    judge_verdict: str
    judge_reasoning: str
    judge_stated: str
    judge_reasoning_stated: str
    judge_choices: str
    judge_final: str
    scorer: str
    scorer_choices: str
    confidence_number: str
    confidence_words: str
    verdict: str
    tie: str
    confidence: str
    levels: tuple[str, str, str]
    any_principle: str
    example: str
    critique_request: str
    revision_request: str
    violated: str
    suggestion: str
    no_fault: str

    def rules(self, principles: Sequence[Principle]) -> str:
        """The numbered principles, as the critic of rules sees them."""
        return "\n".join(
            f"[{number}] {p.name}: {p.description}" + (f" {self.example}{p.example}" if p.example else "")
            for number, p in enumerate(principles, start=1)
        )

    def standards(self, principles: Sequence[Principle]) -> str:
        """What a judge or scorer is to go by."""
        return "\n".join(f"- {p.comparison or p.description}" for p in principles) or self.any_principle

    def critique_requests(self, principles: Sequence[Principle]) -> str:
        """What a critic is asked to look for."""
        requests = (p.critique or self.critique_request + p.description for p in principles)
        return "\n".join(requests) or self.critique_request + self.any_principle

    def revision_requests(self, principles: Sequence[Principle]) -> str:
        """What a reviser is asked to do."""
        requests = (p.revision or self.revision_request + p.description for p in principles)
        return "\n".join(requests) or self.revision_request + self.any_principle

    def critique(self, critique: Critique) -> str:
        """A critique as the reviser reads it: what is wrong, and what was suggested."""
        lines = []
        for finding in critique.findings:
            if finding.satisfied is True:
                continue
            verdict = f"{finding.principle} {self.violated} " if finding.satisfied is False else ""
            suggestion = f" {self.suggestion}{finding.suggestion}" if finding.suggestion else ""
            lines.append(f"{verdict}{finding.explanation}{suggestion}".strip())
        return "\n".join(lines) or self.no_fault
