"""A component for people: where it comes from, and everything that a recipe can say of it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from typing import Any, get_args

from click import HelpFormatter
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from jurist.component import Component
from jurist.contracts import Aggregator, BatchChatModel, Contract, Trainer
from jurist.engine.batches import Batching
from jurist.engine.limits import Limits
from jurist.roles import ROLES
from jurist_registry.option_words import default_words, type_words, value_words

Row = tuple[str, str]
"""The name of a setting, and what there is to say of it."""


def write_component(component: Component, formatter: HelpFormatter) -> None:
    """Write all of it to ``formatter``.

    Raises:
        PluginError: its class cannot be loaded.
    """
    loaded = component.load()
    formatter.write_text(f"{component.kind.replace('_', ' ')} {component.name}: {component.summary}")
    formatter.write(f"  from     {component.provided_by}\n")
    if loaded.capabilities:
        formatter.write(f"  can      {', '.join(sorted(loaded.capabilities))}\n")
    for heading, rows in _sections(component, loaded):
        if rows:
            with formatter.section(heading):
                formatter.write_dl(rows)


def _sections(component: Component, loaded: type[Contract]) -> Iterator[tuple[str, list[Row]]]:
    yield from _options("Options", loaded.Options.model_fields)
    if component.kind == "chat_model":
        for roles, fields in _by_roles().items():
            yield from _options(f"As {_listed(roles)}", fields)
    calls = not (loaded.free or issubclass(loaded, (Aggregator, Trainer)))
    batches = issubclass(loaded, BatchChatModel)
    yield "Beside its options", _common(calls, batches)
    if calls:
        own = loaded.limits  # they go before the defaults of the class
        limits = Limits.model_fields.items()
        yield "In limits", [(name, _said(field, value_words(getattr(own, name)))) for name, field in limits]
    if batches:
        yield "In batch, or batch: true", _rows(Batching.model_fields)


def _options(heading: str, fields: dict[str, FieldInfo]) -> Iterator[tuple[str, list[Row]]]:
    """The options of a class, then what is in those that have settings of their own."""
    yield heading, _rows(fields)
    for name, field in fields.items():
        for model in _models(field.annotation):
            yield f"In {name}", _rows(model.model_fields)


def _by_roles() -> dict[tuple[str, ...], dict[str, FieldInfo]]:
    """The options of roles by the roles that have them, so that what they share is said once."""
    roles: dict[Row, list[str]] = defaultdict(list)
    fields: dict[Row, FieldInfo] = {}
    for role, implementation in ROLES.items():
        for name, field in implementation.Options.model_fields.items():
            option = name, _said(field, default_words(field))
            roles[option].append(role)
            fields[option] = field
    grouped: dict[tuple[str, ...], dict[str, FieldInfo]] = defaultdict(dict)
    for option, having in roles.items():
        grouped[tuple(having)][option[0]] = fields[option]
    return dict(sorted(grouped.items(), key=lambda group: -len(group[0])))


def _common(calls: bool, batches: bool) -> list[Row]:
    rows = [("name", "what it is called in files and reports; by default what it uses")]
    if calls:
        rows.append(("limits", "how it may be called"))
    if batches:
        rows.append(("batch", "have its calls made in the provider's batches"))
    return rows


def _rows(fields: dict[str, FieldInfo]) -> list[Row]:
    return [(name, _said(field, default_words(field))) for name, field in fields.items()]


def _said(field: FieldInfo, default: str) -> str:
    """Type, default and meaning, without the marks of Markdown."""
    words = f"{type_words(field.annotation)}; {'default ' * (not field.is_required())}{default}"
    return (f"{words}. {field.description}" if field.description else words).replace("`", "")


def _models(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in a type, such as that of a list of them."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for argument in get_args(annotation):
        yield from _models(argument)


def _listed(words: Iterable[str]) -> str:
    """``critic``, or ``critic, judge or scorer``."""
    *others, last = words
    return f"{', '.join(others)} or {last}" if others else last
