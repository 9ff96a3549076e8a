"""Coverage against accuracy: how much more often the labels given with the most confidence are right."""

from __future__ import annotations

from collections.abc import Sequence

from jurist_validate.calibration import confidence, is_soft
from jurist_validate.given_labels import is_right
from jurist_validate.intervals import share_of
from jurist_validate.rater import Kind, Reading
from jurist_validate.report import CoveragePoint

COVERAGES = (1.0, 0.9, 0.8, 0.7, 0.6, 0.5)


def coverage(readings: Sequence[Reading], kind: Kind) -> list[CoveragePoint]:
    """Accuracy where only the most confident labels are kept; empty where every verdict is hard.

    Coverage is a share of the items with a side as label. Of labels with the same confidence at the cut,
    each is kept with the same chance, so the order of the file changes nothing. A coverage that the rater
    does not reach has no accuracy.
    """
    sided = [reading for reading in readings if reading.labelled_side]
    if not is_soft(sided, kind):
        return []
    given = [(confidence(reading), is_right(reading)) for reading in sided if reading.side]
    return [_point(target, given, len(sided)) for target in COVERAGES]


def _point(target: float, given: Sequence[tuple[float, bool]], n: int) -> CoveragePoint:
    kept = round(target * n)
    if kept == 0 or kept > len(given):
        return CoveragePoint(coverage=target, threshold=None, accuracy=None)
    threshold = sorted((sure for sure, _ in given), reverse=True)[kept - 1]
    above = [right for sure, right in given if sure > threshold]
    at = [right for sure, right in given if sure == threshold]
    right = sum(above) + sum(at) * (kept - len(above)) / len(at)
    return CoveragePoint(coverage=target, threshold=threshold, accuracy=share_of(right, kept))
