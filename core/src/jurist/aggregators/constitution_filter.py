"""The constitution's hard filter."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from jurist.contracts import Aggregator
from jurist.records import Comparison, Critique, CritiqueOutcome, Decision, JudgeOutcome, Reason


class ConstitutionFilter(Aggregator):
    """Decides by the hard principles, before any judge is asked.

    Where exactly one response violates one, the other is preferred with probability 1; where both do,
    the item is set aside; where none does, the next aggregator decides. A response whose critique is
    missing is not known to be clean, so its item is set aside.
    """

    before_judging: ClassVar[bool] = True

    def decide(self, comparison: Comparison, outcomes: Sequence[JudgeOutcome]) -> Decision:
        """Decide from the critiques of the comparison; ``outcomes`` play no part."""
        critiques = {"A": comparison.critique_a, "B": comparison.critique_b}
        gaps = [f"{side}: {gap}" for side, critique in critiques.items() if (gap := _gap(critique))]
        if gaps:
            return _without_decision("set_aside", "missing", "; ".join(gaps))
        violated = {
            side: c.violated for side, c in critiques.items() if isinstance(c, Critique) and c.violated
        }
        if not violated:
            return _without_decision("undecided", "undecided", "neither response violates a hard principle")
        detail = "; ".join(f"{side} violates {', '.join(names)}" for side, names in violated.items())
        if len(violated) == 2:
            return _without_decision("set_aside", "filtered", detail)
        return Decision(
            status="decided",
            probability=0.0 if "A" in violated else 1.0,
            detail=detail,
            aggregator="constitution-filter",
        )


def _gap(critique: CritiqueOutcome | None) -> str | None:
    """Why it is not known whether the response keeps to the hard principles; None when it is known."""
    if critique is None:
        return "no critique of the hard principles"
    if not isinstance(critique, Critique):
        said = (
            critique.error if critique.kind == "failure" else f"{critique.reason} {critique.detail}".strip()
        )
        return f"{critique.kind} of the critic: {said}"
    open_ones = [finding.principle for finding in critique.findings if finding.satisfied is None]
    return f"the critic gave no verdict on {', '.join(open_ones)}" if open_ones else None


def _without_decision(status: str, reason: Reason, detail: str) -> Decision:
    return Decision.model_validate(
        {"status": status, "reason": reason, "detail": detail, "aggregator": "constitution-filter"}
    )
