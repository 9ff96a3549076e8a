"""Tally: what one component is asked for."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from jurist.contracts import ChatModel
from jurist.planning.bounds import Bounds
from jurist.prices import FREE, Price
from jurist.records import Record
from jurist.selection import Selection


@dataclass
class Tally:
    """Calls and tokens of one component in one place of a recipe; equal calls are one, as in a run.

    ``asked`` has the calls so far, perhaps with those of a component that is the same but for its name.
    ``model`` and its ``price`` are None for components that are no chat models, whose tokens nobody knows.
    ``estimated``: the tokens could not be counted by a tokenizer.
    """

    selection: Selection
    where: str
    model: ChatModel | None
    price: Price | None
    asked: set[int]
    calls: int = 0
    prompt_tokens: Bounds = field(default_factory=Bounds)
    completion_tokens: Bounds = field(default_factory=Bounds)
    estimated: bool = False

    @property
    def is_local(self) -> bool:
        """Whether the model runs on one's own machine: then it has the price that is the default."""
        return self.price is FREE

    def is_new(self, *asked: Any) -> bool:
        """Whether this call was not asked for before; counts it."""
        key = hash("\x1f".join(map(_text, asked)))
        if key in self.asked:
            return False
        self.asked.add(key)
        self.calls += 1
        return True


def _text(asked: Any) -> str:
    if isinstance(asked, Record):
        return asked.model_dump_json()
    return "\x1e".join(map(_text, asked))
