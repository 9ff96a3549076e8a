"""The calibrated jury."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from jurist.errors import UsageError
from jurist.records import Decision, JudgeOutcome, Reason
from jurist.validation.labelled import LabelledItem
from jurist_calibrate.evidence import read_evidence
from jurist_calibrate.fitted_jury import FittedJury
from jurist_calibrate.learnt_jury import LearntJury, LearntJuryOptions
from jurist_calibrate.roster import versions_in

_FEWEST = 10
_WORTH = {"A": 1, "tie": 0, "B": -1}


class CalibratedJuryOptions(LearntJuryOptions):
    """``min_accuracy``: how probably a decision must be right; below it there is none."""

    min_accuracy: float | None = Field(default=None, gt=0, lt=1)


class CalibratedJury(LearntJury[FittedJury]):
    """Decides by a weighted vote, with weights learnt from labelled items.

    The model is that of :mod:`jurist_calibrate.davidson`. A decision's probability is P(A) + P(tie) / 2;
    where a tie is the most probable, it is 0.5. Votes that cancel out decide nothing.
    """

    Options = CalibratedJuryOptions
    options: CalibratedJuryOptions
    name = "calibrated"
    holds = FittedJury

    def learn(self, items: Sequence[LabelledItem]) -> FittedJury:
        """The weights of the judges who voted on ``items``; items without a judgment add nothing."""
        # Loads numpy and scipy, which deciding does without.
        from jurist_calibrate.fitting import fit_jury

        versions = versions_in(items, self.name)
        read = [(read_evidence(item.outcomes, list(versions)), _WORTH[item.label]) for item in items]
        voted = [(evidence, label) for evidence, label in read if evidence.cast]
        sided = sum(label != 0 for _, label in voted)
        if sided < _FEWEST:
            raise UsageError(
                f"aggregator '{self.name}' of jurist-calibrate cannot learn",
                cause=f"{sided} of {len(items)} items have a side as label and a judgment; it takes "
                f"{_FEWEST}, and is worth it from about 50",
                hint="label more items",
            )
        return fit_jury([evidence for evidence, _ in voted], [label for _, label in voted], versions)

    def decide_by(self, learnt: FittedJury, outcomes: Sequence[JudgeOutcome]) -> Decision:
        """Decided, or undecided with ``no_votes`` or ``low_confidence``."""
        evidence = read_evidence(outcomes, list(learnt.weights))
        if not evidence.cast:
            return self._undecided("no_votes", f"none of {len(outcomes)} judges gave a judgment")
        for_a, tie, for_b = learnt.probabilities(evidence)
        best, least = max(for_a, tie, for_b), self.options.min_accuracy
        shown = f"P(A) {for_a:.3f}, P(tie) {tie:.3f}, P(B) {for_b:.3f}"
        if least is not None and best < least:
            return self._undecided("low_confidence", f"{shown}; below {least:g}")
        if tie == best:
            return Decision(status="decided", probability=0.5, detail=shown, aggregator=self.name)
        if for_a == for_b:
            return self._undecided("low_confidence", "the votes cancel out")
        probability = min(for_a + tie / 2, 1.0)
        return Decision(status="decided", probability=probability, detail=shown, aggregator=self.name)

    def _undecided(self, reason: Reason, detail: str) -> Decision:
        return Decision(status="undecided", reason=reason, detail=detail, aggregator=self.name)
