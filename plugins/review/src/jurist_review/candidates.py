"""What a best-of-n stage did: how much better the best response is, and sample prompts."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from jurist.intervals import Estimate, estimate
from jurist.stage_records import Candidates
from jurist_review.browsing import BrowsedRow, Browser, Section
from jurist_review.selection import Selection

SAMPLES = 8


@dataclass
class BestOf:
    """Mean scores of the first and of the best response, over prompts on which both have one."""

    count: int = 0
    scores: dict[str, Estimate] = field(default_factory=dict)
    samples: list[Candidates] = field(default_factory=list)


def summarise(found: Iterable[Candidates], browser: Browser) -> BestOf:
    """Average the scores and choose the samples, in one pass."""
    selection = Selection[Candidates](SAMPLES)
    count, pairs = 0, []
    for each in found:
        count += 1
        selection.offer(_outcome(each), each.prompt.id, each)
        browser.add(_browsed(each))
        first, best = scores_of(each)
        if first is not None and best is not None:
            pairs.append((first, best))
    means = {}
    if pairs:
        columns = {"first": [f for f, _ in pairs], "best": [b for _, b in pairs]}
        columns["gain"] = [best - first for first, best in pairs]
        means = {name: estimate(values) for name, values in columns.items()}
    return BestOf(count, means, selection.in_turn())


def scores_of(found: Candidates) -> tuple[float | None, float | None]:
    """The score of the first response and of the best one."""
    first = found.candidates[0].score if found.candidates else None
    return first, None if found.best is None else found.candidates[found.best].score


def _outcome(found: Candidates) -> str:
    return "no score" if found.best is None else "the first" if found.best == 0 else "a later one"


def _browsed(found: Candidates) -> BrowsedRow:
    first, best = scores_of(found)

    def sections() -> list[Section]:
        return [
            Section.of(
                f"Response {number}" + (" · best" if number - 1 == found.best else ""),
                each.response,
                "" if each.score is None else f"score {each.score:.3f}",
            )
            for number, each in enumerate(found.candidates, 1)
        ]

    gain = "" if first is None or best is None else f"{best - first:+.3f}"
    return BrowsedRow(found.prompt.id, found.prompt, _outcome(found), gain, sections)
