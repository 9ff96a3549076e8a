"""What the index keeps of a row: how it ended, what judges said, and the words to find it by."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import Literal

from jurist.records import Abstention, Failure, JudgeOutcome, Prompt, Response, Trajectory
from jurist.stage_records import Judged, outcome_of
from jurist.validation.strata import stratum_of
from jurist_review.display import visible
from jurist_review.rationales import everything_said, rationales

Said = Literal["with the jury", "against the jury", "tie", "abstained", "failed"]

_TITLE = 200
"""Characters of a prompt that lists show."""

_LONGEST = 200_000
"""Characters of one text by which it can be found."""

# Scripts that are written without spaces between words: each character is a word of its own.
_SPACELESS = re.compile("([\u0e00-\u0e7f\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff])")


@dataclass(frozen=True)
class Entry:
    """A row of the index; ``stratum`` and ``preferred`` are of decided comparisons, else empty."""

    item: str
    outcome: str
    title: str
    prompt: str
    responses: str
    said: str
    stratum: str = ""
    preferred: Literal["A", "B", ""] = ""
    tags: tuple[str, ...] = ()
    judges: tuple[tuple[str, Said], ...] = field(default=())


def entry_of_comparison(judged: Judged) -> Entry:
    """The entry of a judged comparison."""
    comparison, probability = judged.comparison, judged.decision.probability
    decided = probability is not None and probability != 0.5
    return Entry(
        item=comparison.id,
        outcome=outcome_of(judged.decision),
        title=_title(comparison.prompt),
        prompt=_searchable(*(message.content for message in comparison.prompt.messages)),
        responses=_searchable(comparison.response_a.text, comparison.response_b.text),
        said=_searchable(*_rationales(judged)),
        stratum=stratum_of(judged) if decided else "",
        preferred="" if not decided or probability is None else "A" if probability > 0.5 else "B",
        tags=tuple(dict.fromkeys(comparison.prompt.tags)),
        judges=tuple({each.source: _said(each, probability) for each in judged.outcomes}.items()),
    )


def entry_of_trajectory(trajectory: Trajectory) -> Entry:
    """The entry of a trajectory."""
    texts = [step.revision for step in trajectory.steps]
    findings = [
        text
        for step in trajectory.steps
        if step.critique.kind == "critique"
        for finding in step.critique.findings
        for text in (finding.explanation, finding.suggestion)
    ]
    return Entry(
        item=trajectory.prompt.id,
        outcome=trajectory.ended,
        title=_title(trajectory.prompt),
        prompt=_searchable(*(message.content for message in trajectory.prompt.messages)),
        responses=_searchable(*(t.text for t in (trajectory.response, *texts) if isinstance(t, Response))),
        said=_searchable(*findings),
        tags=tuple(dict.fromkeys(trajectory.prompt.tags)),
    )


def spaced(text: str) -> str:
    """``text`` with spaces around characters that are words of their own, as in Chinese."""
    return _SPACELESS.sub(r" \1 ", text)


def _title(prompt: Prompt) -> str:
    return prompt.messages[-1].content[:_TITLE]


def _searchable(*texts: str) -> str:
    """Texts as they are put into the index; what cannot be seen is found by the name that pages show."""
    return spaced(visible("\n".join(text[:_LONGEST] for text in texts)))


def _rationales(judged: Judged) -> list[str]:
    found = [text for outcome in judged.outcomes for text in rationales(outcome)]
    parts = [part for outcome in judged.outcomes for part in everything_said(outcome)]
    faults = [part.error for part in parts if isinstance(part, Failure)]
    return [*dict.fromkeys([*found, *faults]), judged.decision.detail]


def _said(outcome: JudgeOutcome, probability: float | None) -> Said:
    """What a judge said, held against the jury; where that is undecided, no judge is with it."""
    if isinstance(outcome, Abstention):
        return "abstained"
    if isinstance(outcome, Failure):
        return "failed"
    if outcome.preference == 0.5:
        return "tie"
    if probability is None or probability == 0.5:
        return "against the jury"
    return "with the jury" if (outcome.preference > 0.5) == (probability > 0.5) else "against the jury"
