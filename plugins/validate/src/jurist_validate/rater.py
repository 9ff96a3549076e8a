"""Raters: whoever labels items (a judge, an aggregator, a baseline), and what each made of every item."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Literal

from jurist.validation.labelled import Label, LabelledItem, Vote

ShownOrder = Literal["ab", "ba", "mixed"]
Kind = Literal["judge", "aggregator", "baseline"]
Slot = Literal["first", "second", "tie"]

_SWAPPED: dict[Label, Label] = {"A": "B", "B": "A", "tie": "tie"}
_SLOTS: dict[Label, Slot] = {"A": "first", "B": "second", "tie": "tie"}


@dataclass(frozen=True)
class Reading:
    """What one rater made of one item.

    ``preference`` is P(A is better) by the label that it gives the item, 0.5 a tie, None where it gives
    none; ``reason`` then says why. ``shown`` has its preference in each presentation order by itself, None
    where it had no verdict there; under ``mixed`` one that rests on both and says nothing of either.
    ``votes`` are those it rests on.
    """

    item: LabelledItem
    preference: float | None
    reason: str = ""
    shown: Mapping[ShownOrder, float | None] = field(default_factory=dict)
    votes: tuple[Vote, ...] = ()

    @property
    def side(self) -> Label | None:
        """The side that it gives the item to; None where it gives none, or calls it a tie."""
        found = verdict(self.preference)
        return None if found == "tie" else found

    @property
    def labelled_side(self) -> bool:
        """Whether people gave the item to a side."""
        return self.item.label != "tie"

    @property
    def by_slot(self) -> dict[Literal["ab", "ba"], Label | None]:
        """The verdicts of which it is known what was shown first."""
        return {order: label for order, label in self.verdicts.items() if order != "mixed"}

    @cached_property
    def verdicts(self) -> dict[ShownOrder, Label | None]:
        """The verdict in each order that was shown, in the item's own A and B."""
        return {order: verdict(preference) for order, preference in self.shown.items()}


@dataclass(frozen=True)
class Fit:
    """How an aggregator came to be.

    ``folds``: in how many it was fitted, None where it was not. ``saved``: it, or a part of it, was learnt
    before. ``seen``: on how many of the items it is measured on it had learnt then, counting every item
    with the same prompt; None where it does not know.
    """

    folds: int | None = None
    saved: bool = False
    seen: int | None = 0


@dataclass(frozen=True, eq=False)
class Rater:
    """Who labelled, and the readings of the items it was asked about.

    ``fit`` says what was learnt, where something was. ``problem`` says why there are no readings.
    """

    name: str
    kind: Kind
    readings: tuple[Reading, ...]
    fit: Fit = Fit()
    problem: str = ""

    def on(self, tag: str) -> Rater:
        """The same rater on the items with ``tag`` alone."""
        return replace(self, readings=tuple(r for r in self.readings if tag in r.item.tags))


def verdict(preference: float | None) -> Label | None:
    """The verdict that a preference is."""
    if preference is None:
        return None
    if preference == 0.5:
        return "tie"
    return "A" if preference > 0.5 else "B"


def slot(label: Label, order: Literal["ab", "ba"]) -> Slot:
    """Where what ``label`` names was shown: a rating that does not depend on which response is called A."""
    return _SLOTS[label if order == "ab" else _SWAPPED[label]]
