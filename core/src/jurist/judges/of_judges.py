"""Judges of judges: the base of those that ask others, and where these stand in their options."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Annotated, Any, ClassVar

from pydantic import JsonValue

from jurist.contracts import Judge
from jurist.options import Inner, Options, holds_components
from jurist.recipe import Reference

JudgeReference = Annotated[Reference, Inner]
"""The type of an option that refers to a judge; lists of these and mappings to these will do as well."""


class JudgeOfJudges(Judge):
    """A judge that asks other judges and makes one outcome of theirs.

    Its options say who they are, in fields of the type ``JudgeReference``, ``tuple[JudgeReference, ...]`` or
    ``dict[str, JudgeReference]``. Each is built, metered, limited and shown the comparison in the stage's
    presentation orders like any other judge; the constructor gets them as ``judges``, by their place in
    the options: ``judge``, ``judges.0``, ``by_tag.code``. Whoever built them closes them.

    It makes no calls of its own, so it is free, and it is not shown the two orders: its judges are. The
    ``parts`` of its outcomes are what they said.
    """

    free: ClassVar[bool] = True

    def __init__(self, options: Any, judges: Mapping[str, Judge]) -> None:
        super().__init__(options)
        self.judges = dict(judges)
        if all("symmetric" in judge.capabilities for judge in judges.values()):
            vars(self).update(capabilities=frozenset({"symmetric"}))

    def identity(self) -> JsonValue:
        """Its options and the identities of its judges."""
        inside: dict[str, JsonValue] = {place: judge.identity() for place, judge in self.judges.items()}
        return {"options": self.options.identity(), "judges": inside}


def inner_references(model: type[Options], settings: Mapping[str, Any]) -> Iterator[tuple[str, Reference]]:
    """Every reference in ``settings`` to a judge, with its place, as far as it is a reference at all."""
    for name, field in model.model_fields.items():
        value = settings.get(name)
        if value is None or not holds_components(field):
            continue
        for place, reference in _placed(name, value, by_key=_is_mapping(field.annotation)):
            if isinstance(reference, (str, Mapping)):
                yield place, dict(reference) if isinstance(reference, Mapping) else reference


def _placed(name: str, value: Any, *, by_key: bool) -> Iterator[tuple[str, Any]]:
    if isinstance(value, (list, tuple)):
        yield from ((f"{name}.{number}", each) for number, each in enumerate(value))
    elif by_key and isinstance(value, Mapping):
        yield from ((f"{name}.{key}", each) for key, each in value.items())
    else:
        yield name, value


def _is_mapping(annotation: Any) -> bool:
    return getattr(annotation, "__origin__", None) is dict
