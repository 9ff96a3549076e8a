"""Examples of an evaluate stage: the same prompts, answered by every policy."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from jurist.records import Prompt
from jurist.stage_records import Evaluated
from jurist_review.selection import rank

SAMPLES = 8


@dataclass
class Example:
    """A prompt and the first response of each policy to it."""

    prompt: Prompt
    answers: dict[str, Evaluated] = field(default_factory=dict)


def examples(evaluated: Iterable[Evaluated]) -> list[Example]:
    """The prompts whose ids have the smallest hashes, with every policy's first response."""
    kept: dict[str, Example] = {}
    for item in evaluated:
        place = rank(item.prompt.id)
        kept.setdefault(place, Example(item.prompt)).answers.setdefault(item.policy, item)
        if len(kept) > SAMPLES:
            del kept[max(kept)]
    return [kept[place] for place in sorted(kept)]
