"""Validation: how far judges and aggregators can be trusted, measured against people's labels."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, JsonValue, model_validator

from jurist.intervals import Estimate
from jurist.options import Options
from jurist.records import Record

Required = Literal["trust", "warn", "none"]
"""The recommendation below which a run ends."""


class Thresholds(Options):
    """Accuracies from which a jury is used with a warning, and from which it is trusted."""

    warn: float = Field(default=0.75, ge=0, le=1)
    trust: float = Field(default=0.80, ge=0, le=1)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.warn > self.trust:
            raise ValueError(f"'warn' ({self.warn:g}) is above 'trust' ({self.trust:g})")
        return self


class Validation(Record):
    """What was measured, in one word, in a table for people and in full for machines.

    ``subject`` is the judge or aggregator that the recommendation is about and ``accuracy`` its share of
    right labels: ``trust`` from the upper threshold, ``warn`` between the two, ``distrust`` below; ``reason``
    says why.
    """

    recommendation: Literal["trust", "warn", "distrust"]
    reason: str
    subject: str
    accuracy: Estimate
    text: str
    report: dict[str, JsonValue]
