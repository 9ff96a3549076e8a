"""Measures: all that is measured of one rater."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from jurist_validate.absences import absences
from jurist_validate.agreement import agreement
from jurist_validate.calibration import calibration
from jurist_validate.cost import usd_per_right_label
from jurist_validate.coverage import coverage
from jurist_validate.given_labels import given_labels
from jurist_validate.kappa import kappas
from jurist_validate.length import length
from jurist_validate.position import position
from jurist_validate.rater import Kind, Rater, Reading
from jurist_validate.repeats import self_consistency
from jurist_validate.report import Measures, RaterReport


def measured(rater: Rater, tags: Iterable[str], seed: int) -> RaterReport:
    """The rater on all items it read, and on those with each of ``tags``."""
    tagged = {tag: rater.on(tag).readings for tag in tags}
    return RaterReport(
        name=rater.name,
        kind=rater.kind,
        folds=rater.fit.folds,
        saved=rater.fit.saved,
        seen=rater.fit.seen,
        problem=rater.problem,
        overall=measures(rater.readings, rater.kind, seed) if rater.readings else None,
        by_tag={tag: measures(readings, rater.kind, seed) for tag, readings in tagged.items() if readings},
    )


def measures(readings: Sequence[Reading], kind: Kind, seed: int) -> Measures:
    """Everything there is to say of these readings."""
    return Measures(
        items=len(readings),
        labels=given_labels(readings),
        agreement=agreement(readings),
        absences=absences(readings, kind),
        position=position(readings),
        length=length(readings),
        kappa=kappas(readings),
        calibration=calibration(readings, kind, seed),
        coverage=coverage(readings, kind),
        self_consistency=self_consistency(readings) if kind == "judge" else None,
        usd_per_right_label=usd_per_right_label(readings),
    )
