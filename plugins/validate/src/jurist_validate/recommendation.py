"""The recommendation: trust, warn or distrust, and why."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from jurist.intervals import Estimate
from jurist.validation.result import Thresholds
from jurist_validate.rater import Fit, Rater
from jurist_validate.report import Contest, GivenLabels
from jurist_validate.table import percent

NOTHING = Estimate(mean=0.0, low=0.0, high=1.0, n=0)
"""The accuracy of a rater that gave no label."""

_GUESSING = 0.5


class Recommendation(NamedTuple):
    """``word`` is what to do with the subject; ``accuracy`` is what it goes by."""

    word: Literal["trust", "warn", "distrust"]
    reason: str
    accuracy: Estimate


def recommend(
    subject: Rater, labels: GivenLabels | None, contests: Sequence[Contest], thresholds: Thresholds
) -> Recommendation:
    """What to do with ``subject``, by the accuracy of the sides it gives.

    A run trains on these sides alone: what is not decided is set aside. So this accuracy, not one that also
    counts undecided items, is what the labels in training will have; how many there will be is said beside
    it. Whoever gives no side, or cannot be told from guessing (the interval reaches below one half), is
    distrusted whatever the accuracy.
    """
    if labels is None:
        return Recommendation("distrust", f"{subject.name}: {subject.problem or 'no votes'}", NOTHING)
    if labels.coverage is None:
        return Recommendation("distrust", "every item is labelled a tie, so no side is right", NOTHING)
    if labels.accuracy is None:
        reason = f"{subject.name} gives no side on any of {labels.coverage.n} items"
        return Recommendation("distrust", reason, NOTHING)
    accuracy = labels.accuracy
    word, why = _weighed(accuracy, thresholds)
    reason = (
        f"{subject.name} is right on {percent(accuracy.mean)}% of the sides it gives{_how(subject.fit)}, "
        f"95% interval {percent(accuracy.low)}–{percent(accuracy.high)}%: {why}. "
        f"It gives one on {percent(labels.coverage.mean)}% of {labels.coverage.n} items."
    )
    sentences = [reason, *_seen(subject), *_better(contests)]
    return Recommendation(word, " ".join(sentences), accuracy)


def _how(fit: Fit) -> str:
    """How it came to be, where it learnt."""
    how = ["as saved"] if fit.saved else []
    how += [f"cross-validated in {fit.folds} folds"] if fit.folds else []
    return f" ({', '.join(how)})" if how else ""


def _seen(subject: Rater) -> list[str]:
    """A sentence where it is measured on items that it learnt from, or may be."""
    fit = subject.fit
    if fit.seen is None:
        return ["It does not say which items it learnt from; on these the accuracy is too high."]
    if not fit.seen:
        return []
    return [
        f"It learnt from the prompts of {fit.seen} of these {len(subject.readings)} items, so the accuracy "
        "is too high: measure it on items with other prompts."
    ]


def _weighed(accuracy: Estimate, thresholds: Thresholds) -> tuple[Literal["trust", "warn", "distrust"], str]:
    warn, trust = (f"{percent(each)}%" for each in (thresholds.warn, thresholds.trust))
    if accuracy.mean < thresholds.warn:
        reaches = f", though the interval reaches above {warn}" if accuracy.high > thresholds.warn else ""
        return "distrust", f"below {warn}{reaches}"
    if accuracy.low < _GUESSING:
        return "distrust", "the interval reaches below 50%, so it cannot be told from guessing"
    if accuracy.mean < thresholds.trust:
        reaches = f"; the interval reaches below {warn}" if accuracy.low < thresholds.warn else ""
        return "warn", f"between {warn} and {trust}{reaches}"
    reaches = f", though the interval reaches below {trust}" if accuracy.low < thresholds.trust else ""
    return "trust", f"at least {trust}{reaches}"


def _better(contests: Sequence[Contest]) -> list[str]:
    """A sentence for each that does better than the subject on the same items."""
    return [
        f"{found.other} {'is' if lead.high < 0 else 'may be'} better: by {percent(-lead.mean)} points, 95% "
        f"interval {percent(-lead.high)} to {percent(-lead.low)}, on {lead.n} items that both give a side."
        for found in contests
        if (lead := found.difference) and lead.mean < 0
    ]
