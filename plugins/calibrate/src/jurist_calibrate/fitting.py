"""Fitting a calibrated jury, and finding out how well it does on items that it was not fitted on."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from jurist_calibrate import davidson
from jurist_calibrate.davidson import Davidson
from jurist_calibrate.evidence import Evidence
from jurist_calibrate.fitted_jury import FittedJury, Ties, Weight

Matrix = NDArray[np.float64]

_FOLDS = 5
_BINS = 10


def fit_jury(evidence: Sequence[Evidence], labels: Sequence[int], versions: dict[str, str]) -> FittedJury:
    """Fit the weights of the judges in ``versions``; labels are 1 for A, 0 for a tie, -1 for B.

    A judge that never says how sure it is has one weight, for its verdicts.
    """
    verdicts = np.array([each.verdicts for each in evidence])
    preferences = np.array([each.preferences for each in evidence])
    soft = (verdicts != preferences).any(axis=0)
    columns = np.concatenate([verdicts, preferences[:, soft]], axis=1)
    declared, right = np.array([each.declared for each in evidence]), np.array(labels, dtype=float)
    accuracy, error = _cross_validated(columns, declared, right)
    model = davidson.fit(columns, declared, right)
    of_verdicts, of_preferences = np.split(model.weights, [len(versions)])
    sure = np.zeros(len(versions))
    sure[soft] = of_preferences
    return FittedJury(
        items=len(labels),
        versions=versions,
        accuracy=accuracy,
        calibration_error=error,
        weights={
            judge: Weight(verdict=float(verdict), preference=float(preference))
            for judge, verdict, preference in zip(versions, of_verdicts, sure, strict=True)
        },
        ties=None if model.tie is None else Ties(base=float(model.tie[0]), declared=float(model.tie[1])),
    )


def _cross_validated(columns: Matrix, declared: Matrix, labels: Matrix) -> tuple[float, float]:
    """Accuracy and expected calibration error of what is said of items that were not fitted on."""
    # Files are often sorted, so folds are drawn; always the same ones, so that fits can be repeated.
    fold = np.random.default_rng(0).permutation(len(labels)) % _FOLDS
    probabilities = np.empty((len(labels), 3))
    for number in range(_FOLDS):
        seen, held_out = fold != number, fold == number
        model: Davidson = davidson.fit(columns[seen], declared[seen], labels[seen])
        probabilities[held_out] = model.probabilities(columns[held_out], declared[held_out])
    right = 1 - probabilities.argmax(axis=1) == labels
    confidence = probabilities.max(axis=1)
    bins = np.minimum((confidence * _BINS).astype(int), _BINS - 1)
    gaps = np.bincount(bins, weights=confidence - right, minlength=_BINS)
    return float(right.mean()), float(np.abs(gaps).sum() / len(labels))
