"""Judges of judges: the base of those that ask others, and where these stand in their options."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from types import NoneType, UnionType
from typing import Annotated, Any, ClassVar, TypeVar, Union, get_args, get_origin

from pydantic import JsonValue
from pydantic.fields import FieldInfo

from jurist.artifacts import ARTIFACTS
from jurist.contracts import Judge
from jurist.errors import PluginError, UsageError
from jurist.options import Inner, Options, holds_components, is_inner
from jurist.stage_settings import Reference

Chosen = TypeVar("Chosen")

JudgeReference = Annotated[Reference, Inner]
"""The type of an option that refers to a judge; lists of these and mappings to these will do as well."""


class JudgeOfJudges(Judge):
    """A judge that asks other judges and makes one outcome of theirs.

    Its options say who they are, in fields of the type ``JudgeReference``, ``tuple[JudgeReference, ...]``,
    ``list[JudgeReference]`` or ``dict[str, JudgeReference]``, or one of these that may be None. Each judge is
    built, metered, limited and shown the comparison in the stage's presentation orders like any other; the
    constructor gets them as ``judges``, by their place in the options: ``judge``, ``judges.0``,
    ``by_tag.code``. Whoever built them closes them.

    It makes no calls of its own, so it is free, and it is not shown the two orders: its judges are. The
    ``parts`` of its outcomes are what they said; where it is known what all of them said in either order, the
    two orders, whose ``parts`` are what each said then (:mod:`jurist.judges.combined` sees to it).
    """

    free: ClassVar[bool] = True

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        for name, field in cls.Options.model_fields.items():
            if holds_components(field) and not _is_readable(field):
                raise TypeError(
                    f"{cls.__name__}.Options.{name}: judges stand in an option of the type JudgeReference, "
                    "tuple[JudgeReference, ...], list[JudgeReference] or dict[str, JudgeReference], or of "
                    "one of these or None"
                )

    def __init__(self, options: Any, judges: Mapping[str, Judge]) -> None:
        super().__init__(options)
        self.judges = dict(judges)
        if all("symmetric" in judge.capabilities for judge in judges.values()):
            vars(self).update(capabilities=frozenset({"symmetric"}))

    def identity(self) -> JsonValue:
        """Its options and the identities of its judges."""
        inside: list[JsonValue] = [[place, judge.identity()] for place, judge in self.judges.items()]
        return {"options": self.options.identity(), "judges": inside}


def judges_inside(
    model: type[Options], settings: Mapping[str, Any], select: Callable[[Reference, str], Chosen], where: str
) -> tuple[dict[str, Chosen], list[str]]:
    """What ``select`` makes of each judge in ``settings``, by its place, and what is wrong with them."""
    judges: dict[str, Chosen] = {}
    faults = [
        f"{where}.{name}: it makes no calls of its own; give this to the judges inside"
        for name in ("limits", "batch")
        if name in settings
    ]
    for place, inner in inner_references(model, settings):
        if isinstance(inner, str) and inner in ARTIFACTS:
            faults.append(
                f"{where}.{place}: '{inner}' is an artifact, which has no place inside another judge; write "
                "the settings of the judge"
            )
            continue
        try:
            judges[place] = select(inner, f"{where}.{place}")
        except (UsageError, PluginError) as error:
            faults.append("\n    ".join(str(error).splitlines()))
    return judges, faults


def inner_references(model: type[Options], settings: Mapping[str, Any]) -> Iterator[tuple[str, Reference]]:
    """Every judge that ``settings`` refer to, with its place, as far as it is a reference at all.

    Where they say nothing, it is who the option has by default.
    """
    for name, field in model.model_fields.items():
        if not holds_components(field):
            continue
        value = settings[name] if name in settings else field.get_default(call_default_factory=True)
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
    """Whether it is a mapping to judges, or may be one."""
    return any(_is_kind(each, Mapping) for each in _choices(annotation))


def _is_readable(field: FieldInfo) -> bool:
    """Whether it is plain where its judges stand."""
    if Inner in field.metadata:
        return bool(field.annotation == Reference)
    choices = _choices(field.annotation)
    return len(choices) == 1 and any(
        (is_inner(choices[0]), _is_kind(choices[0], Sequence), _is_kind(choices[0], Mapping))
    )


def _choices(annotation: Any) -> list[Any]:
    """What an option of this type may be, None aside."""
    is_union = get_origin(annotation) in (Union, UnionType)
    return [each for each in get_args(annotation) if each is not NoneType] if is_union else [annotation]


def _is_kind(annotation: Any, kind: type[Any]) -> bool:
    """Whether it is a sequence of judges, or a mapping to judges."""
    origin, held = get_origin(annotation), get_args(annotation)
    if not isinstance(origin, type) or not issubclass(origin, kind):
        return False
    values = held[1:] if issubclass(origin, Mapping) else [each for each in held if each is not Ellipsis]
    return bool(values) and all(map(is_inner, values))
