"""Labelled items as short as they can be written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from jurist.validation.labelled import LabelledItem, read_labelled

VERDICTS = {"A": "A", "B": "B", "t": "tie", "-": None, "!": None}

Items = Callable[..., list[LabelledItem]]


def item_of(number: int, label: str, said: dict[str, str], **fields: Any) -> LabelledItem:
    """An item of which judges said this in the orders ab and ba.

    A, B, t: a verdict, or a tie; -: unparsed; !: failed; a dot: not asked.
    """
    votes = [
        {
            "judge": judge,
            "order": order,
            "verdict": VERDICTS[sign],
            "reason": {"-": "unparsed", "!": "failure"}.get(sign, ""),
        }
        for judge, signs in said.items()
        for order, sign in zip(("ab", "ba"), signs, strict=False)
        if sign != "."
    ]
    row = {"item": str(number), "label": {"t": "tie"}.get(label, label), "votes": votes}
    return read_labelled({**row, **fields})


@pytest.fixture
def items() -> Items:
    """Items of one judge: each is a label and what the judge said in both orders, as ``"A:AB"``."""

    def make(*texts: str, judge: str = "judge") -> list[LabelledItem]:
        pairs = (text.split(":") for text in texts)
        return [item_of(number, label, {judge: signs}) for number, (label, signs) in enumerate(pairs)]

    return make


@pytest.fixture
def votes_on() -> Callable[..., LabelledItem]:
    """Makes one item: number, label, and what each judge said in both orders."""
    return item_of
