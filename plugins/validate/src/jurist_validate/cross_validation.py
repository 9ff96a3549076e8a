"""Cross-validation: folds of items, so that an aggregator is never measured on what it was fitted on."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from sklearn.model_selection import GroupKFold, StratifiedGroupKFold

from jurist.aggregators import Chain
from jurist.contracts import Aggregator, LearntAggregator
from jurist.errors import UsageError
from jurist.validation.labelled import LabelledItem

FOLDS = 5
"""How many folds there are, where there are enough prompts."""


def learners_of(aggregator: Aggregator) -> list[LearntAggregator]:
    """What of ``aggregator`` has to be fitted: itself, or links of the chain that it is."""
    return [each for each in _learnt(aggregator) if not each.is_learnt]


def saved_in(aggregator: Aggregator) -> list[LearntAggregator]:
    """What of ``aggregator`` was learnt before and decides as it is."""
    return [each for each in _learnt(aggregator) if each.is_learnt]


def _learnt(aggregator: Aggregator) -> list[LearntAggregator]:
    links = aggregator.aggregators if isinstance(aggregator, Chain) else (aggregator,)
    return [link for link in links if isinstance(link, LearntAggregator)]


def folds_of(items: Sequence[LabelledItem], seed: int) -> list[frozenset[int]]:
    """The places of the items of each fold; every item is in one.

    Items with the same prompt share a fold: a pair and its swapped twin, or two pairs of the same
    responses, would tell the fit what it is measured on. Labels are spread evenly over the folds where each
    has enough items.

    Raises:
        UsageError: there are fewer than two prompts.
    """
    prompts = [item.comparison.prompt.id for item in items]
    count = min(FOLDS, len(set(prompts)))
    if count < 2:
        raise UsageError("it must be fitted, and cross-validation needs items of at least two prompts")
    labels = [item.label for item in items]
    enough = min(Counter(labels).values()) >= count
    splitter = (StratifiedGroupKFold if enough else GroupKFold)(count, shuffle=True, random_state=seed)
    splits = splitter.split(prompts, labels, prompts)
    found = [frozenset(int(place) for place in held_out) for _, held_out in splits]
    return [fold for fold in found if fold]
