"""Fitted juries: the weights of judges."""

from __future__ import annotations

from math import exp
from typing import NamedTuple, Self

from pydantic import model_validator

from jurist.records import Record
from jurist_calibrate.evidence import Evidence
from jurist_calibrate.learnt_jury import Learnt


class Weight(Record):
    """What a judge adds to the log-odds of A when it is for A in every order.

    ``verdict`` counts for each verdict, ``preference`` in proportion to how sure the judge is.
    """

    verdict: float
    preference: float


class Ties(Record):
    """The score of a tie: where no judgment declares one, and what is added where all do."""

    base: float
    declared: float


class Probabilities(NamedTuple):
    """Of the three labels that an item can have."""

    for_a: float
    tie: float
    for_b: float


class FittedJury(Learnt):
    """The weights of the judges, and how probable ties are; None where no label was one.

    ``accuracy`` and ``calibration_error`` (expected, of ten bins of confidence) are those of five fits,
    each measured on the fifth of the items that it had not seen.
    """

    accuracy: float
    calibration_error: float
    weights: dict[str, Weight]
    ties: Ties | None

    @model_validator(mode="after")
    def _of_the_same_judges(self) -> Self:
        if list(self.weights) != list(self.versions):
            raise ValueError("'weights' and 'versions' are not of the same judges in the same order")
        return self

    def probabilities(self, evidence: Evidence) -> Probabilities:
        """Of evidence with a place for each judge in ``weights``; see :mod:`jurist_calibrate.davidson`."""
        log_odds = sum(
            weight.verdict * verdict + weight.preference * preference
            for weight, verdict, preference in zip(
                self.weights.values(), evidence.verdicts, evidence.preferences, strict=True
            )
        )
        scores = [log_odds / 2, -log_odds / 2]
        if self.ties is not None:
            scores.append(self.ties.base + self.ties.declared * evidence.declared)
        highest = max(scores)
        shares = [exp(score - highest) for score in scores]
        total = sum(shares)
        return Probabilities(
            for_a=shares[0] / total,
            tie=shares[2] / total if len(shares) == 3 else 0.0,
            for_b=shares[1] / total,
        )
