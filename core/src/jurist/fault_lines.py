"""Faults of input as lines for people, from what pydantic found."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from textwrap import shorten
from types import NoneType, UnionType
from typing import Annotated, Any, Self, Union, cast, get_args, get_origin

from pydantic import BaseModel, ValidationError

from jurist.near_names import guess, near_miss
from jurist.options import Faults

Entry = Mapping[str, Any]
"""One of ``ValidationError.errors()``."""

Loc = tuple[str | int, ...]

_SHOULD_BE = "Input should be "
_WANTED = {
    **dict.fromkeys(("dict_type", "mapping_type", "model_type", "model_attributes_type"), "a mapping"),
    **dict.fromkeys(("list_type", "tuple_type", "set_type", "frozen_set_type"), "a list"),
    "int_parsing": "a valid integer",
    "float_parsing": "a valid number",
}
"""What should have been there, in the words of YAML where pydantic has those of Python."""


def faults_of(error: ValidationError, known: Collection[str], where: str) -> list[str]:
    """One readable line per fault of ``error``, each once; unknown names get the near miss among ``known``.

    Where ``known`` are the fields of a model, by name, faults of the models inside get theirs too, and what
    may be of several types is one fault, not one of each type.
    """
    faults = [_Fault.of(entry, known) for entry in error.errors() if not _is_spurious(entry)]
    for union in dict.fromkeys(union for fault in faults for union in fault.types):
        ours = [fault for fault in faults if union in fault.types]
        if ours:
            at = faults.index(ours[0])
            others = [fault for fault in faults[at:] if fault not in ours]
            faults = [*faults[:at], *_of_one_type(ours, union), *others]
    return list(dict.fromkeys(line for fault in faults for line in fault.lines(where)))


def unknown_option(name: str, known: Collection[str] | None, where: str) -> str:
    """The line for an option that is not ``known``; None where its type does not say which names are."""
    return f"{where}.{name}: unknown option{'' if known is None else near_miss(name, known)}"


@dataclass(frozen=True, eq=False)
class _Fault:
    """An entry, the way to it as a person wrote it, and the types at its end.

    ``holder`` is the type in which its last part stands, or the names or fields that are known at the start;
    ``annotation`` is that of the value itself. ``types`` has the values on the way that may be of several
    types: the place of each, as pydantic has it, and the type of which this is a fault. Pydantic has it in
    the way, although nobody wrote it.
    """

    entry: Entry
    written: Loc
    holder: Any
    annotation: Any
    types: Mapping[Loc, str]

    @classmethod
    def of(cls, entry: Entry, known: Collection[str]) -> Self:
        """The fault of an entry, where ``known`` are the names, or fields by name, at the start."""
        written: list[str | int] = []
        types: dict[Loc, str] = {}
        holder: Any = known
        here: Any = known
        for number, part in enumerate(entry["loc"]):
            choice = _types(here)
            if len(choice) > 1:
                types[entry["loc"][:number]] = str(part)
                here = next((each for each in choice if _is_called(each, str(part))), None)
            else:
                holder = choice[0]
                written.append(part)
                here = _inside(holder, part)
        return cls(entry, tuple(written), holder, here, types)

    def is_of_another_type(self, union: Loc) -> bool:
        """Whether the value in the place ``union`` is nothing like the type of which this is a fault."""
        at_once = self.entry["loc"] == (*union, self.types[union])
        return at_once and str(self.entry["type"]).endswith(("_type", "_parsing", "literal_error"))

    @property
    def message(self) -> str:
        """What is wrong."""
        wanted = _WANTED.get(self.entry["type"])
        if wanted is not None:
            return f"{_SHOULD_BE}{wanted}"
        said = str(self.entry["msg"]).removeprefix("Value error, ")  # what stands before a validator's own
        return re.sub(r"^\w+ (should have .*) after validation.*", r"Input \1", said)

    def lines(self, where: str) -> list[str]:
        """The fault for a person; several lines where a validator found several."""
        entry, place = self.entry, ".".join(map(str, (where, *self.written)))
        if isinstance(found := entry.get("ctx", {}).get("error"), Faults):
            return [f"{place}: {fault}" for fault in found.faults]
        if entry["type"] == "extra_forbidden":
            return [unknown_option(str(self.written[-1]), _names(self.holder), place.rpartition(".")[0])]
        if entry["type"] == "missing" and isinstance(self.written[-1], int):
            number = len(get_args(self.holder))
            return [f"{place.rpartition('.')[0]}: Input should have {number} items{_given(entry['input'])}"]
        if entry["type"] == "missing":
            return [f"{place}: required, but not given"]
        if entry["type"] == "union_tag_invalid":
            kinds = re.findall(r"'([^']*)'", entry["ctx"]["expected_tags"])
            tag = str(entry["ctx"]["tag"])
            return [f"{place}: unknown {_discriminator(entry)} '{tag}'{near_miss(tag, kinds)}"]
        if entry["type"] == "union_tag_not_found":
            tag = _discriminator(entry)
            known = {name for each in _types(self.annotation) for name in _names(each) or ()}
            return [f"{place}.{tag}: required, but not given{guess(tag, entry['input'].keys() - known)}"]
        return [f"{place}: {self.message}{self._help()}{_given(entry['input'])}"]

    def _help(self) -> str:
        """What may have been meant: a choice that is near, or the value inside of a list or mapping."""
        value = self.entry["input"]
        if _WANTED.get(self.entry["type"]) in ("a list", "a mapping"):
            written = _written(value, self.annotation)
            return f"; write {written}" if written else ""
        if isinstance(value, str) and self.message.startswith(_SHOULD_BE):
            return guess(value, re.findall(r"'([^']*)'", self.message))
        return ""


def _of_one_type(faults: Sequence[_Fault], union: Loc) -> Sequence[_Fault]:
    """Of the faults of a value that may be of several types, those of the type that it is most like.

    Where it is like none, one fault says what it may be.
    """
    by_type: dict[str, list[_Fault]] = defaultdict(list)
    for fault in faults:
        by_type[fault.types[union]].append(fault)
    like = [each for each in by_type.values() if not all(fault.is_of_another_type(union) for fault in each)]
    if like:
        return min(like, key=len)
    wanted = dict.fromkeys(fault.message.removeprefix(_SHOULD_BE) for fault in faults)
    entry = {**faults[0].entry, "type": "union", "msg": f"{_SHOULD_BE}{' or '.join(wanted)}"}
    return [replace(faults[0], entry=entry)]


def _types(annotation: Any) -> list[Any]:
    """The types that a value may be of, but for null."""
    if get_origin(annotation) is Annotated:
        return _types(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [each for one in get_args(annotation) if one is not NoneType for each in _types(one)]
    return [annotation]


def _is_called(annotation: Any, name: str) -> bool:
    """Whether pydantic calls a type so: by its own name, or by what tells it from others."""
    if (get_origin(annotation) or annotation).__name__ == name.partition("[")[0]:
        return True
    fields = annotation.model_fields.values() if _is_model(annotation) else ()
    return any(name in get_args(field.annotation) for field in fields)


def _names(holder: Any) -> Collection[str] | None:
    """The names that are known in a model, or are given as such."""
    if _is_model(holder):
        return cast(Collection[str], holder.model_fields)
    return holder if isinstance(holder, Collection) else None


def _inside(here: Any, part: str | int) -> Any:
    """The type of what stands under ``part``: of a model, of fields by name, or of a list or mapping."""
    fields = _names(here)
    if isinstance(fields, Mapping):
        return fields[part].annotation if part in fields else None
    arguments = [each for each in get_args(here) if each is not Ellipsis]
    return arguments[-1] if arguments else None


def _written(value: Any, annotation: Any) -> str | None:
    """How to write a value that should stand inside of a list, or of a mapping as all that it needs."""
    shown = "{…}" if isinstance(value, Mapping) else value
    if _is_model(annotation := _types(annotation)[0]):
        fields = annotation.model_fields
        needed = [name for name, field in fields.items() if field.is_required()]
        alone = len(needed) == 1 and _may_be(value, fields[needed[0]].annotation)
        return f"{{{needed[0]}: {shown}}}" if alone else None
    is_list = get_origin(annotation) in (list, tuple, set, frozenset)
    return f"[{shown}]" if is_list and _may_be(value, _inside(annotation, 0)) else None


def _may_be(value: Any, annotation: Any) -> bool:
    types = (Mapping if _is_model(each) else get_origin(each) or each for each in _types(annotation))
    return any(isinstance(each, type) and isinstance(value, each) for each in types)


def _is_spurious(entry: Entry) -> bool:
    """Whether a list is found too short only because some of its items are faulty."""
    is_short = entry["type"] == "too_short"
    return is_short and bool(len(entry["input"]) >= entry["ctx"]["min_length"])


def _is_model(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _discriminator(entry: Entry) -> str:
    """The option that says which of several models a mapping is; pydantic puts it in quotes."""
    return str(entry["ctx"]["discriminator"]).strip("'")


def _given(value: object) -> str:
    """What was written, where that is short; null as people write it."""
    if isinstance(value, Mapping):
        return ""
    return f" (given: {'null' if value is None else shorten(repr(value), 80)})"
