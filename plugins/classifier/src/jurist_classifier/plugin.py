"""Hooks of jurist-classifier."""

from __future__ import annotations

from collections.abc import Iterable

from jurist import Component, hookimpl


@hookimpl
def jurist_trainers() -> Iterable[Component]:
    """The trainer of labelers."""
    yield Component(
        "classifier",
        "jurist_classifier.trainer:ClassifierTrainer",
        "Trains a labeler on preferences, from any encoder or decoder (Bradley-Terry or cross-encoder).",
    )


@hookimpl
def jurist_judges() -> Iterable[Component]:
    """A trained labeler as a judge."""
    yield Component(
        "classifier",
        "jurist_classifier.judge:ClassifierJudge",
        "Compares two responses by a labeler that the trainer of this name made (calibrated; symmetric).",
    )
