"""Length bias: sides given to the longer response, against how often people do."""

from __future__ import annotations

from collections.abc import Sequence

from statsmodels.stats.proportion import confint_proportions_2indep

from jurist.intervals import Estimate
from jurist_validate.given_labels import is_right
from jurist_validate.intervals import share
from jurist_validate.rater import Reading
from jurist_validate.report import Length


def length(readings: Sequence[Reading]) -> Length | None:
    """How the longer response fares; None where no texts are known.

    Lengths are in characters. It looks at items with two known responses of different lengths, a side as
    label, and a side given. A judge that goes by length is right where the longer one is right, and wrong
    elsewhere: ``difference`` is between these two accuracies, with Newcombe's interval.
    """
    known = [(r, longer) for r in readings if r.side and r.labelled_side and (longer := _longer(r))]
    if not any(_has_texts(reading) for reading in readings):
        return None
    longer_right = [is_right(r) for r, longer in known if r.item.label == longer]
    shorter_right = [is_right(r) for r, longer in known if r.item.label != longer]
    return Length(
        longer_chosen=share([r.side == longer for r, longer in known]),
        longer_labelled=share([r.item.label == longer for r, longer in known]),
        accuracy_longer=share(longer_right),
        accuracy_shorter=share(shorter_right),
        difference=_difference(longer_right, shorter_right),
    )


def _has_texts(reading: Reading) -> bool:
    return reading.item.response_a is not None and reading.item.response_b is not None


def _longer(reading: Reading) -> str | None:
    """The side of the longer response; None where it is not known, or neither is longer."""
    if not _has_texts(reading):
        return None
    more = len(reading.item.response_a or "") - len(reading.item.response_b or "")
    return None if more == 0 else "A" if more > 0 else "B"


def _difference(first: Sequence[bool], second: Sequence[bool]) -> Estimate | None:
    if not first or not second:
        return None
    low, high = confint_proportions_2indep(
        sum(first), len(first), sum(second), len(second), compare="diff", method="newcomb"
    )
    mean = sum(first) / len(first) - sum(second) / len(second)
    return Estimate(mean=mean, low=float(low), high=float(high), n=len(first) + len(second))
