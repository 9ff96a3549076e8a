"""Options in words: type and default as the documentation writes them, in Markdown."""

from __future__ import annotations

import json
from pathlib import Path
from types import MappingProxyType, NoneType, UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import BaseModel, JsonValue, SecretStr
from pydantic.fields import FieldInfo

_WORDS = MappingProxyType(
    {
        str: "text",
        int: "integer",
        float: "number",
        bool: "true or false",
        Path: "path",
        SecretStr: "secret",
        NoneType: "null",
        Any: "any value",
        JsonValue: "any value",
        dict: "mapping",
        dict[str, JsonValue]: "mapping",
        dict[str, Any]: "mapping",
    }
)


def type_words(annotation: Any) -> str:
    """A type: ``list of text or null``; a model inside has its own name."""
    for known, words in _WORDS.items():
        if annotation == known:  # not looked up: what pydantic is told of a type inside has no hash
            return words
    origin, arguments = get_origin(annotation), get_args(annotation)
    if origin is Annotated:
        return type_words(arguments[0])
    if origin is Literal:
        return " or ".join(f"`{argument}`" for argument in arguments)
    if origin in (Union, UnionType):
        return " or ".join(type_words(argument) for argument in arguments)
    if origin is tuple and arguments[-1] is not Ellipsis:
        return f"[{', '.join(type_words(argument) for argument in arguments)}]"
    if origin in (tuple, list, set, frozenset):
        return f"list of {type_words(arguments[0])}"
    if origin is dict:
        return f"mapping to {type_words(arguments[1])}"
    return getattr(annotation, "__name__", None) or str(annotation)


def default_words(field: FieldInfo) -> str:
    """A default as YAML writes it, or ``required``."""
    if field.is_required():
        return "required"
    return value_words(field.get_default(call_default_factory=True))


def value_words(value: Any) -> str:
    """A value as YAML writes it; of a model, whose settings have defaults of their own, an empty mapping."""
    if isinstance(value, BaseModel):
        return "`{}`"
    written = value if isinstance(value, str) and value else json.dumps(value, default=str)
    return f"`{written}`"
