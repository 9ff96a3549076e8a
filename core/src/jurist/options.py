"""Settings of components: a pydantic model per component, strict about unknown names."""

from __future__ import annotations

import difflib
import re
from collections.abc import Collection, Iterable, Iterator, Mapping
from pathlib import Path
from textwrap import shorten
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, JsonValue, SecretStr, ValidationError
from pydantic.fields import FieldInfo


class Operational:
    """Marks an option that cannot change an answer (a batch size, a time-out).

    Write ``batch_size: Annotated[int, Operational] = 16``; such options are left out of ledger keys,
    so changing one does not ask for everything anew.
    """


class Inner:
    """Marks a reference to another component, which is built and handed to the constructor.

    ``jurist.judges.JudgeReference`` has the mark.
    """


class LocalPath:
    """Marks an option of text that may be the path of a file or folder.

    Write ``model: Annotated[str, LocalPath]``. A run does a stage again when the content of such a file has
    changed. Options of the type ``Path`` need no mark.
    """


class Faults(ValueError):
    """Several faults of one option, for a validator to raise; each is a line of its own."""

    def __init__(self, faults: Iterable[str]) -> None:
        self.faults = tuple(faults)
        super().__init__("; ".join(self.faults))


class Options(BaseModel):
    """Base of every component's options."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def identity(self) -> dict[str, JsonValue]:
        """The options that can change an answer: all but secrets and operational ones.

        Components inside have identities of their own.
        """
        skipped = {
            name
            for name, field in type(self).model_fields.items()
            if Operational in field.metadata or is_secret(field.annotation) or holds_components(field)
        }
        return self.model_dump(mode="json", exclude=skipped)

    def paths(self) -> Iterator[Path]:
        """The paths among the options that can change an answer."""
        for name, field in type(self).model_fields.items():
            if Operational not in field.metadata and (
                LocalPath in field.metadata or _is_path(field.annotation)
            ):
                value = getattr(self, name)
                for each in value if isinstance(value, (tuple, list)) else (value,):
                    if isinstance(each, (str, Path)):
                        yield Path(each)


def checked_address(address: str | None) -> str | None:
    """The address of a server that an option gives, for use as a validator.

    Raises:
        ValueError: it is none. An empty one would quietly mean the provider's own server, and its prices.
    """
    if address is not None and not address.startswith(("http://", "https://")):
        raise ValueError("an address begins with http:// or https://")
    return address


def is_secret(annotation: Any) -> bool:
    """Whether an option of this type is a secret, given (``SecretStr``) or not (``SecretStr | None``)."""
    return annotation is SecretStr or SecretStr in get_args(annotation)


def _is_path(annotation: Any) -> bool:
    return annotation is Path or any(_is_path(argument) for argument in get_args(annotation))


def holds_components(field: FieldInfo) -> bool:
    """Whether an option refers to other components: to one, or to several in a list or mapping."""
    return Inner in field.metadata or _refers(field.annotation)


def is_inner(annotation: Any) -> bool:
    """Whether a type is that of a reference to another component."""
    return Inner in getattr(annotation, "__metadata__", ())


def _refers(annotation: Any) -> bool:
    return is_inner(annotation) or any(_refers(argument) for argument in get_args(annotation))


def faults_of(error: ValidationError, known: Collection[str], where: str) -> list[str]:
    """One readable line per fault of ``error``; unknown names get the near miss among ``known``.

    Where ``known`` are the fields of a model, by name, faults of the models inside get theirs too.
    """
    return [line for entry in error.errors() for line in _fault_lines(entry, known, where)]


def _fault_lines(entry: Mapping[str, Any], known: Collection[str], where: str) -> list[str]:
    found = entry.get("ctx", {}).get("error")
    if not isinstance(found, Faults):
        return [fault_line(entry, known, where)]
    return [f"{_place(entry, where)}: {fault}" for fault in found.faults]


def fault_line(entry: Mapping[str, Any], known: Collection[str], where: str) -> str:
    """One entry of ``ValidationError.errors()`` as a line for a person."""
    place = _place(entry, where)
    if entry["type"] == "extra_forbidden":
        *parents, name = entry["loc"]
        names = _known_at(parents, known)
        return f"{place}: unknown option{'' if names is None else near_miss(str(name), names)}"
    if entry["type"] == "missing":
        return f"{place}: required, but not given"
    if entry["type"] == "union_tag_invalid":
        kinds = re.findall(r"'([^']*)'", entry["ctx"]["expected_tags"])
        tag = str(entry["ctx"]["tag"])
        return f"{place}: unknown {_discriminator(entry)} '{tag}'{near_miss(tag, kinds)}"
    if entry["type"] == "union_tag_not_found":
        return f"{place}.{_discriminator(entry)}: required, but not given"
    message = str(entry["msg"]).removeprefix("Value error, ")  # what pydantic puts before a validator's own
    return f"{place}: {message}{_given(entry['input'])}"


def _discriminator(entry: Mapping[str, Any]) -> str:
    """The option that says which of several models a mapping is; pydantic puts it in quotes."""
    return str(entry["ctx"]["discriminator"]).strip("'")


def _known_at(parents: Iterable[str | int], known: Collection[str]) -> Collection[str] | None:
    """The names of the options that a model inside knows; None where its type does not say which it is."""
    for part in parents:
        if not isinstance(known, Mapping):
            return None
        if part in known:  # else it is the place in a list, a key, or a member of a union
            models = list(_models_in(known[part].annotation))
            if len(models) != 1:
                return None
            known = models[0].model_fields
    return known


def _models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models_in(argument)


def _given(value: object) -> str:
    """What was written, where that is short; null as people write it."""
    if isinstance(value, Mapping):
        return ""
    return f" (given: {'null' if value is None else shorten(repr(value), 80)})"


def _path(entry: Mapping[str, Any]) -> str:
    return ".".join(str(part) for part in entry["loc"])


def _place(entry: Mapping[str, Any], where: str) -> str:
    path = _path(entry)
    return f"{where}.{path}" if path else where


def near_miss(name: str, known: Iterable[str]) -> str:
    """'; did you mean …?' when something near is known, then the list of what is known."""
    names = sorted(known)
    near = nearest(name, names)
    guess = f"; did you mean '{near}'?" if near else ""
    return f"{guess} (known: {', '.join(names) or 'none'})"


def nearest(name: str, known: Iterable[str], cutoff: float = 0.5) -> str | None:
    """Which of ``known`` may be meant by ``name``; None where none is near.

    A higher ``cutoff`` (1 is equal) suits names among many that have nothing to do with it.
    """
    return next(iter(difflib.get_close_matches(name, sorted(known), n=1, cutoff=cutoff)), None)
