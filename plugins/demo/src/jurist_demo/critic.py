"""The demo's rule-based critic: says of every principle whether a response heeds it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from jurist.constitution import Principle
from jurist.contracts import Critic
from jurist.records import Abstention, Critique, CritiqueOutcome, Finding, Prompt, Response
from jurist_demo.signs import Signs, read

_RULES: dict[str, tuple[Callable[[Signs], bool], str, str]] = {
    "privacy": (lambda s: not s.leaks, "It shares private data.", "Refuse and name another way."),
    "harm": (lambda s: not s.helps_harm, "It helps to hurt.", "Refuse and say why."),
    "kindness": (lambda s: not s.rude, "It is rude.", "Use kind words."),
    "usefulness": (lambda s: s.useful and s.fluent, "It does not answer.", "Answer what was asked."),
    "brevity": (lambda s: not s.long, "It is too long.", "Say less."),
}


class RuleCritic(Critic):
    """Holds a response against the demo's principles by surface rules."""

    free = True
    capabilities: ClassVar[frozenset[str]] = frozenset({"verdicts"})

    async def critique(
        self, prompt: Prompt, response: Response, principles: Sequence[Principle]
    ) -> CritiqueOutcome:
        """One finding per principle; abstains when it has no rule for one of them."""
        unknown = [p.name for p in principles if p.name not in _RULES]
        if unknown:
            return Abstention(reason="missing", detail=f"no rule for the principles {', '.join(unknown)}")
        signs = read(prompt.messages[-1].content, response.text)
        return Critique(findings=tuple(_finding(principle.name, signs) for principle in principles))


def _finding(name: str, signs: Signs) -> Finding:
    holds, explanation, suggestion = _RULES[name]
    if holds(signs):
        return Finding(principle=name, satisfied=True)
    return Finding(principle=name, satisfied=False, explanation=explanation, suggestion=suggestion)
