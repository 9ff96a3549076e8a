"""What judges wrote to explain themselves, also those whom a judge of judges asked."""

from __future__ import annotations

from collections.abc import Iterator

from jurist.records import JudgeOutcome, Judgment


def everything_said(outcome: JudgeOutcome) -> Iterator[JudgeOutcome]:
    """An outcome and those it was made of: of either order, of other judges, or of their orders."""
    yield outcome
    for part in outcome.parts:
        yield from everything_said(part)


def rationales(outcome: JudgeOutcome) -> list[str]:
    """The rationales of an outcome, each text once."""
    said = (each.rationale for each in everything_said(outcome) if isinstance(each, Judgment))
    return [*dict.fromkeys(text for text in said if text)]
