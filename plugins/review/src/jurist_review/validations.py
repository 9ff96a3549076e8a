"""What a validate stage measured, as far as a report shows it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from jurist.intervals import Estimate
from jurist.validation.drift import Drift
from jurist.validation.result import Validation
from jurist_review.calibration import Bin, Reliability
from jurist_review.rows import Problems, R, place_of


class _Part(BaseModel):
    """A part of what jurist-validate reports; the rest of it is in the text."""

    model_config = ConfigDict(extra="ignore", frozen=True)


class _Labels(_Part):
    accuracy: Estimate | None = None
    coverage: Estimate | None = None


class _Position(_Part):
    order_agreement: Estimate | None = None
    first_chosen: Estimate | None = None


class _Length(_Part):
    longer_chosen: Estimate | None = None


class _Kappas(_Part):
    cohen: Estimate | None = None


class _Bin(_Part):
    confidence: float
    accuracy: Estimate


class _Calibration(_Part):
    ece: Estimate
    bins: tuple[_Bin, ...] = ()


class Measured(_Part):
    """What was measured of one rater."""

    items: int
    labels: _Labels = _Labels()
    position: _Position = _Position()
    length: _Length | None = None
    kappa: _Kappas = _Kappas()
    calibration: _Calibration | None = None


class Rater(_Part):
    """A judge, an aggregator or a baseline; ``problem`` says why nothing was measured."""

    name: str
    kind: str = ""
    problem: str = ""
    overall: Measured | None = None


class JudgePair(_Part):
    """Cohen's kappa of two judges."""

    judges: tuple[str, str]
    cohen: Estimate | None = None


class _Jury(_Part):
    alpha: Estimate | None = None
    pairwise: tuple[JudgePair, ...] = ()


class _Report(_Part):
    raters: tuple[Rater, ...] = Field(default=())
    jury: _Jury | None = None


@dataclass(frozen=True)
class ValidationReading:
    """The result of a validation, and its parts where the plugin that measured says them the usual way."""

    result: Validation
    raters: tuple[Rater, ...]
    pairs: tuple[JudgePair, ...]
    alpha: Estimate | None

    @property
    def reliabilities(self) -> list[Reliability]:
        """The calibration of everyone who has one; whom the recommendation is about comes first."""
        found = []
        for rater in sorted(self.raters, key=lambda rater: rater.name != self.result.subject):
            calibration = rater.overall and rater.overall.calibration
            if calibration and calibration.bins:
                bins = tuple(Bin(each.confidence, each.accuracy) for each in calibration.bins)
                found.append(Reliability(rater.name, bins, calibration.ece.mean))
        return found


def read_validation(folder: Path, problems: Problems) -> ValidationReading | None:
    """What ``validation.json`` of a stage says; None where there is none."""
    result = read_record(folder / "validation.json", Validation, problems)
    if result is None:
        return None
    try:
        report = _Report.model_validate(result.report)
    except ValidationError:
        report = _Report()  # another plugin measured; its text says all of it
    jury = report.jury or _Jury()
    return ValidationReading(result, report.raters, jury.pairwise, jury.alpha)


def read_drift(folder: Path, problems: Problems) -> Drift | None:
    """What ``drift.json`` of a stage says; None where there is none."""
    return read_record(folder / "drift.json", Drift, problems)


def read_record(path: Path, record: type[R], problems: Problems) -> R | None:
    """A file that is one record; None where it is missing, or noted as unreadable."""
    try:
        return record.model_validate(json.loads(path.read_text(encoding="utf-8")))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        problems.add(f"{place_of(path)} could not be read: {str(error).splitlines()[0]}")
        return None
