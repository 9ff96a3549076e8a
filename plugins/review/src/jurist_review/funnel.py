"""The funnel of a stage: what became of everything that went in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from jurist_review.display import worded
from jurist_review.reading import StageReading

Tone = Literal["in", "kept", "aside", "failed"]


@dataclass(frozen=True)
class Row:
    """One count, and the whole that it is a part of."""

    label: str
    count: int
    whole: int
    tone: Tone

    @property
    def share(self) -> float:
        """The count in per cent of its whole, at most 100."""
        return min(100.0, 100 * self.count / self.whole) if self.whole else 0.0


def funnel(stage: StageReading) -> list[Row]:
    """The rows of one stage; none when it has nothing to count."""
    rows = {"revise": _revise, "best_of": _best_of, "compare": _compare, "evaluate": _evaluate}.get(
        stage.kind
    )
    return rows(stage.summary) if rows and stage.summary else []


_ENDS: dict[str, tuple[str, Tone]] = {
    "satisfied": ("ended satisfied: a critique found nothing", "kept"),
    "rounds": ("ended after all rounds", "kept"),
    "abstention": ("ended early: an abstention", "aside"),
    "failure": ("ended early: a failed call", "failed"),
}


def _revise(summary: Mapping[str, Any]) -> list[Row]:
    prompts = summary["prompts"]
    rows = [Row("prompts", prompts, prompts, "in")]
    for ended, count in summary["ended"].items():
        label, tone = _ENDS[ended]
        rows.append(Row(label, count, prompts, tone))
    for reason, count in summary["reasons"].items():
        tone = "failed" if reason.startswith("failure") else "aside"
        rows.append(Row(f"· {worded(reason)}", count, prompts, tone))
    return [*rows, Row("texts kept for training", summary["revisions"], prompts, "kept")]


def _best_of(summary: Mapping[str, Any]) -> list[Row]:
    prompts, responses = summary["prompts"], summary["responses"]
    sampled = sum(responses.values())
    rows = [Row("prompts", prompts, prompts, "in"), Row("responses sampled", sampled, sampled, "in")]
    for kind, count in responses.items():
        rows.append(Row(f"· {worded(kind)}", count, sampled, _tone(kind, "response")))
    for scorer, kinds in summary["scores"].items():
        for kind, count in kinds.items():
            rows.append(
                Row(f"{worded(scorer)} · {worded(kind)}", count, sum(kinds.values()), _tone(kind, "score"))
            )
    return [*rows, Row("best responses kept for training", summary["revisions"], prompts, "kept")]


def _compare(summary: Mapping[str, Any]) -> list[Row]:
    responses, comparisons = summary["responses"], summary["comparisons"]
    unpaired = summary["decisions"].get("unpaired", 0)
    sampled, pairs = sum(responses.values()), comparisons + unpaired
    rows = [Row("responses sampled", sampled, sampled, "in")] if sampled else []
    for kind, count in responses.items():
        rows.append(Row(f"· {worded(kind)}", count, sampled, _tone(kind, "response")))
    rows.append(Row("pairs", pairs, pairs, "in"))
    if unpaired:
        rows.append(Row("not compared: an equal, empty or missing text", unpaired, pairs, "aside"))
    rows.append(Row("comparisons", comparisons, pairs, "in"))
    for outcome, count in summary["decisions"].items():
        if outcome not in ("preferred", "unpaired"):
            rows.append(Row(f"set aside: {worded(outcome)}", count, comparisons, "aside"))
    return [*rows, Row("preferences kept for training", summary["preferences"], comparisons, "kept")]


def _evaluate(summary: Mapping[str, Any]) -> list[Row]:
    rows = []
    for policy, outcomes in summary["outcomes"].items():
        asked = sum(count for name, count in outcomes.items() if ": " not in name)
        for name, count in outcomes.items():
            kind = name.rpartition(": ")[2]
            tone = _tone(kind, "response" if kind == name else "score")
            rows.append(Row(f"{worded(policy)} · {worded(name)}", count, asked, tone))
    return rows


def _tone(kind: str, answer: str) -> Tone:
    return "kept" if kind == answer else "failed" if kind == "failure" else "aside"
