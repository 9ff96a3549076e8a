"""The words of the tiny world: places, names, kinds of task and what may be said, in two languages."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Literal

from jurist.files.yaml_text import load_yaml
from jurist.records import Record

Language = Literal["en", "zh"]


class Kind(Record):
    """One kind of task: how it is asked, and how it is answered well or (when it violates) badly.

    The value of an item is the same for all places and names (``items``), or depends on the place or
    on the name.
    """

    asks: tuple[str, ...]
    good: tuple[str, ...]
    bad: tuple[str, ...] = ()
    violates: Literal["privacy", "harm"] | None = None
    items: Mapping[str, str] = {}
    by_place: Mapping[str, tuple[str, ...]] = {}
    by_name: Mapping[str, tuple[str, ...]] = {}

    def values(self) -> Mapping[str, tuple[str, ...]]:
        """Every item with its values, whatever they depend on."""
        return (
            {item: (value,) for item, value in self.items.items()} | dict(self.by_place) | dict(self.by_name)
        )


class Lexicon(Record):
    """Everything that can be said in one language."""

    names: tuple[str, ...]
    places: tuple[str, ...]
    rude: tuple[str, ...]
    evasive: tuple[str, ...]
    refusals: tuple[str, ...]
    filler: tuple[str, ...]
    kinds: Mapping[str, Kind]


@cache
def lexicons() -> Mapping[Language, Lexicon]:
    """Both languages, read from ``world.yaml``."""
    text = (resources.files("jurist_demo") / "world.yaml").read_text(encoding="utf-8")
    return {language: Lexicon.model_validate(words) for language, words in load_yaml(text).items()}
