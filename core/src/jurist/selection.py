"""Selections: components whose settings are looked up and checked, and what of them changes a result."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol, cast

import pluggy
from pydantic import JsonValue, SecretStr, ValidationError

from jurist.component import COMMON_SETTINGS, Component
from jurist.contracts import BatchChatModel, Contract
from jurist.engine.batches import Batching
from jurist.engine.limits import Limits
from jurist.errors import PluginError, UsageError
from jurist.fault_lines import faults_of, unknown_option
from jurist.fingerprint import settings_fingerprint
from jurist.judges.of_judges import JudgeOfJudges, judges_inside
from jurist.options import Options, holds_components
from jurist.recipe import expand, resolve_path
from jurist.records import content_id
from jurist.roles import ROLES
from jurist.stage_settings import Reference


class ComponentSource(Protocol):
    """Where components are looked up by name; the registry is one.

    ``hooks`` are those of the plugins that follow runs, if there are some.
    """

    @property
    def hooks(self) -> pluggy.HookRelay | None:
        """The hooks of plugins, for :class:`jurist.events.Events`."""

    def find(self, kind: str, name: str) -> Component:
        """The component of that kind, or a chat model of that name for a role it can play.

        Raises:
            UsageError: there is none; names the near miss.
            PluginError: the plugin that offers it is broken.
        """


@dataclass(frozen=True)
class Selection:
    """A component whose settings are checked; nothing is built yet.

    ``role_options`` is set when a chat model plays the role ``kind``. ``judges`` are those that a judge of
    judges asks, by their place in its options.
    """

    kind: str
    component: Component
    implementation: type[Contract]
    options: Options
    role_options: Options | None
    label: str
    limits: Limits
    settings: dict[str, JsonValue]
    batching: Batching | None = None
    judges: Mapping[str, Selection] = field(default_factory=dict)

    @property
    def asks_others(self) -> bool:
        """Whether it is a judge of judges."""
        return issubclass(self.implementation, JudgeOfJudges)

    def within(self, where: str) -> Iterator[tuple[str, Selection]]:
        """Itself and all judges inside, with their places in the recipe."""
        yield where, self
        for place, each in self.judges.items():
            yield from each.within(f"{where}.{place}")


def select(kind: str, reference: Reference, source: ComponentSource, where: str = "") -> Selection:
    """Check a component's settings without building it.

    Raises:
        UsageError: unknown component, or wrong options; lists every fault.
        PluginError: the component's plugin is broken.
    """
    where = where or kind
    written = {"use": reference} if isinstance(reference, str) else reference
    settings = expanded(written, where)
    component = _found(kind, settings, source, where)
    implementation = component.load()
    role = ROLES.get(kind) if component.kind == "chat_model" and kind != "chat_model" else None
    options, faults = _options(implementation, role, settings, written, where)
    limits, batching, pace_faults = _pace(implementation, settings, where)
    judges: dict[str, Selection] = {}
    inner_faults: list[str] = []
    if issubclass(implementation, JudgeOfJudges):
        judges, inner_faults = judges_inside(
            implementation.Options, written, lambda inner, place: select("judge", inner, source, place), where
        )
    faults += [*pace_faults, *_open_secrets(options, written, where), *inner_faults]
    if faults:
        raise UsageError.of_faults(
            f"{where}: {component.kind} '{component.name}' of {component.distribution}",
            faults,
            hint=f"jurist plugins show {component.name}",
        )
    return Selection(
        kind=kind,
        component=component,
        implementation=implementation,
        options=options[0],
        role_options=options[1] if role else None,
        label=str(settings.get("name") or settings["use"]),
        limits=limits,
        settings=settings,
        batching=batching,
        judges=judges,
    )


def _found(kind: str, settings: Mapping[str, Any], source: ComponentSource, where: str) -> Component:
    name = settings.get("use")
    if not isinstance(name, str):
        raise UsageError(f"{where}: a component needs 'use: NAME'", hint="jurist plugins list")
    try:
        return source.find(kind, name)
    except (UsageError, PluginError) as error:
        error.what = f"{where}: {error.what}"
        raise


def _options(
    implementation: type[Contract],
    role: type[Contract] | None,
    settings: Mapping[str, Any],
    written: Mapping[str, Any],
    where: str,
) -> tuple[list[Options], list[str]]:
    """The component's options and those of its role; judges inside stay as written, no secret in sight."""
    given = {key: value for key, value in settings.items() if key not in COMMON_SETTINGS}
    fields = implementation.Options.model_fields.items()
    held = [name for name, field in fields if holds_components(field)]
    given.update({name: written[name] for name in held if name in written})
    return _validate([implementation.Options, *([role.Options] if role else [])], given, where)


def _pace(
    implementation: type[Contract], settings: Mapping[str, Any], where: str
) -> tuple[Limits, Batching | None, list[str]]:
    """How it may be called, and how calls go in the provider's batches, if they are to."""
    limits, faults = _limits(settings.get("limits"), implementation, f"{where}.limits")
    batching, batch_faults = _batching(
        settings.get("batch"), settings.get("limits"), implementation, f"{where}.batch"
    )
    if batching is not None:  # a batch holds all that is waiting, for as long as the provider takes
        limits = limits.model_copy(update={"concurrency": batching.size, "timeout": None})
    return limits, batching, faults + batch_faults


def _batching(
    given: Any, limits: Any, implementation: type[Contract], where: str
) -> tuple[Batching | None, list[str]]:
    """How calls go in the provider's batches, if they are to."""
    if given is None or given is False:
        return None, []
    if not issubclass(implementation, BatchChatModel):
        return None, [f"{where}: its provider has no batches; leave it out"]
    batching, faults = _validate([Batching], {} if given is True else given, where)
    if isinstance(limits, Mapping):
        faults += [
            f"{where}: limits.{name} has no meaning for batches; leave one of the two out"
            for name in limits
            if name in Limits.model_fields and name != "attempts"
        ]
    return (cast(Batching, batching[0]) if batching else None), faults


def _limits(given: Any, implementation: type[Contract], where: str) -> tuple[Limits, list[str]]:
    """What is given, over the component's own limits."""
    if given is not None and not isinstance(given, Mapping):
        return implementation.limits, [f"{where}: must be a mapping"]
    limits, faults = _validate([Limits], {**implementation.limits.model_dump(), **(given or {})}, where)
    return (cast(Limits, limits[0]) if limits else implementation.limits), faults


def _open_secrets(options: Iterable[Options], given: Mapping[str, Any], where: str) -> list[str]:
    """Secrets written out in the recipe, which the run directory would keep for everyone to read."""
    secrets = [name for each in options for name, value in each if isinstance(value, SecretStr)]
    return [
        f"{where}.{name}: a secret does not belong in a recipe; write ${{NAME}} and set that variable"
        for name in secrets
        if name in given and not re.fullmatch(r"\$\{\w+\}", str(given[name]))
    ]


def _validate(models: list[type[Options]], given: Any, where: str) -> tuple[list[Options], list[str]]:
    """Split ``given`` over ``models`` by option name; what none of them knows is a fault."""
    if not isinstance(given, Mapping):
        return [], [f"{where}: must be a mapping of options"]
    known = {name: field for model in models for name, field in model.model_fields.items()}
    faults = [unknown_option(name, known, where) for name in given if name not in known]
    options: list[Options] = []
    for model in models:
        mine = {name: value for name, value in given.items() if name in model.model_fields}
        try:
            options.append(model.model_validate(mine))
        except ValidationError as error:
            faults += faults_of(error, known, where)
    return options, faults


def expanded(value: Any, where: str) -> Any:
    """Settings with ``${NAME}`` and ``package:`` paths resolved; ``where`` is their place in the recipe.

    Raises:
        UsageError: a variable is not set, or there is no such package.
    """
    if isinstance(value, str):
        try:
            return str(resolve_path(value)) if value.startswith("package:") else expand(value)
        except UsageError as error:
            error.what = f"{where}: {error.what}"
            raise
    if isinstance(value, Mapping):
        return {key: expanded(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [expanded(item, f"{where}.{number}") for number, item in enumerate(value)]
    return value


def fingerprint_of(selection: Selection) -> JsonValue:
    """What of a selection can change a result: no secrets, nothing operational, files by content."""
    role = selection.role_options
    options = [selection.options.identity(), role.identity() if role is not None else None]
    settings = settings_fingerprint(options, selection.options.paths())
    own: list[JsonValue] = [selection.component.target, selection.label, settings]
    # A list: the first judge that is sure, or whose tag fits, is asked first.
    inside: list[JsonValue] = [[place, fingerprint_of(each)] for place, each in selection.judges.items()]
    return [*own, inside] if inside else own


def versions_of(references: Iterable[Reference], source: ComponentSource) -> dict[str, str]:
    """The label of each judge with a fingerprint of all settings that can change what it says.

    Raises:
        UsageError: a judge's settings are wrong.
        PluginError: the plugin of a judge is broken.
    """
    selections = [select("judge", reference, source) for reference in references]
    return {each.label: content_id(fingerprint_of(replace(each, label=""))) for each in selections}


def labels_of(references: Iterable[Reference]) -> list[str]:
    """The label of each reference: its ``name``, else what it uses."""
    return [
        reference if isinstance(reference, str) else str(reference.get("name") or reference.get("use"))
        for reference in references
    ]
