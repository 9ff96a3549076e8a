"""Labelled items with planted judges."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping

import pytest

from jurist.validation.labelled import Label, LabelledItem, Vote

OTHER: dict[Label, Label] = {"A": "B", "B": "A", "tie": "tie"}

Planted = Callable[..., list[LabelledItem]]
Mirror = Callable[[LabelledItem], LabelledItem]


def planted_items(
    n: int,
    accuracies: Mapping[str, float],
    *,
    lean: float = 0.0,
    ties: float = 0.0,
    sure: Callable[[bool, random.Random], float | None] = lambda right, rng: None,
    seed: int = 0,
) -> list[LabelledItem]:
    """Items whose judges are right with these probabilities, each order by itself.

    ``lean``: how often a judge says the first response, whatever is right. ``ties``: the share of labels that
    are ties, of which a judge declares as many as it is accurate. ``sure``: its confidence when it is right
    or wrong.
    """
    rng = random.Random(seed)

    def vote(judge: str, order: str, label: Label) -> Vote:
        right = rng.random() < accuracies[judge]
        said: Label = label if right else rng.choice(["A", "B"]) if label == "tie" else OTHER[label]
        if rng.random() < lean:
            said = "A" if order == "ab" else "B"
        confidence = None if said == "tie" else sure(said == label, rng)
        return Vote(judge=judge, order=order, verdict=said, confidence=confidence)

    items = []
    for number in range(n):
        label: Label = "tie" if rng.random() < ties else rng.choice(["A", "B"])
        votes = tuple(vote(judge, order, label) for judge in accuracies for order in ("ab", "ba"))
        items.append(LabelledItem(item=str(number), label=label, votes=votes))
    return items


def mirrored_item(item: LabelledItem) -> LabelledItem:
    """The same item with A and B exchanged in all that there is."""
    votes = tuple(
        vote.model_copy(
            update={
                "order": "ba" if vote.order == "ab" else "ab",
                "verdict": vote.verdict and OTHER[vote.verdict],
            }
        )
        for vote in item.votes
    )
    return item.model_copy(update={"label": OTHER[item.label], "votes": votes})


@pytest.fixture
def planted() -> Planted:
    """Makes items; see :func:`planted_items`."""
    return planted_items


@pytest.fixture
def mirrored() -> Mirror:
    """Exchanges A and B."""
    return mirrored_item
