"""Settings of components: a pydantic model per component, strict about unknown names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, get_args

from pydantic import BaseModel, ConfigDict, JsonValue, SecretStr
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
