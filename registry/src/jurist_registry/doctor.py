"""The doctor: everything that is wrong with what is installed, with a remedy each."""

from __future__ import annotations

import json
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit
from urllib.request import url2pathname

from jurist.errors import PluginError
from jurist_registry.discovery import GROUP, installed_plugins
from jurist_registry.registry import Registry


@dataclass(frozen=True)
class Diagnosis:
    """One thing that is wrong. ``broken``: it cannot be used; otherwise it is a warning."""

    subject: str
    cause: str
    hint: str
    broken: bool = True


def examine(registry: Registry) -> list[Diagnosis]:
    """Everything that is wrong, what is broken first."""
    found = [
        *_broken_plugins(registry),
        *_unloadable_components(registry),
        *_names_offered_twice(registry),
        *_unmet_requirements(registry),
        *_stale_metadata(),
    ]
    return sorted(found, key=lambda diagnosis: not diagnosis.broken)


def _broken_plugins(registry: Registry) -> Iterator[Diagnosis]:
    for plugin in registry.broken:
        yield Diagnosis(f"plugin {plugin.name} ({plugin.distribution})", plugin.cause, plugin.hint)


def _unloadable_components(registry: Registry) -> Iterator[Diagnosis]:
    for component in registry.components():
        try:
            component.load()
        except PluginError as error:
            subject = f"{component.kind} {component.name} ({component.provided_by})"
            yield Diagnosis(subject, error.cause or error.what, error.hint or "")


def _names_offered_twice(registry: Registry) -> Iterator[Diagnosis]:
    offers: dict[tuple[str, str], list[str]] = defaultdict(list)
    for component in registry.components():
        offers[component.kind, component.name].append(component.distribution)
    for (kind, name), sources in sorted(offers.items()):
        if len(sources) > 1:
            choices = " or ".join(f"'{source.split()[0]}:{name}'" for source in sources)
            yield Diagnosis(
                f"{kind} {name}",
                f"offered by {' and by '.join(sources)}",
                f"name the one you mean: {choices}",
            )


def _unmet_requirements(registry: Registry) -> Iterator[Diagnosis]:
    reported = {plugin.project for plugin in registry.broken}
    for plugin in installed_plugins():
        if plugin.project in reported:
            continue
        for unmet in plugin.unmet_requirements():
            yield Diagnosis(
                f"plugin {plugin.name} ({plugin.distribution})",
                f"{plugin.project} {unmet}",
                f"pip install '{unmet.requirement}'",
                broken=False,
            )


def _stale_metadata() -> Iterator[Diagnosis]:
    """Editable installs whose entry points changed in pyproject.toml after they were installed."""
    for distribution in distributions():
        folder = _editable_folder(distribution)
        if folder is None:
            continue
        project = folder / "pyproject.toml"
        if not project.is_file():
            if _installed_entry_points(distribution):
                yield _stale(distribution, f"its folder {folder} has no pyproject.toml any more", folder)
            continue
        declared: dict[str, Any] = tomllib.loads(project.read_text(encoding="utf-8"))
        wanted = declared.get("project", {}).get("entry-points", {}).get(GROUP, {})
        installed = _installed_entry_points(distribution)
        if wanted != installed:
            cause = f"pyproject.toml names {_listed(wanted)}, but {_listed(installed)} is installed"
            yield _stale(distribution, cause, folder)


def _editable_folder(distribution: Distribution) -> Path | None:
    text = distribution.read_text("direct_url.json")
    origin: dict[str, Any] = json.loads(text) if text else {}
    if not origin.get("dir_info", {}).get("editable"):
        return None
    return Path(url2pathname(urlsplit(origin["url"]).path))


def _installed_entry_points(distribution: Distribution) -> dict[str, str]:
    return {entry.name: entry.value for entry in distribution.entry_points.select(group=GROUP)}


def _stale(distribution: Distribution, cause: str, folder: Path) -> Diagnosis:
    subject = f"distribution {distribution.name} {distribution.version}"
    return Diagnosis(
        subject, f"its entry points are stale: {cause}", f"pip install -e {folder}", broken=False
    )


def _listed(entry_points: dict[str, str]) -> str:
    return ", ".join(f"{name} = {value}" for name, value in sorted(entry_points.items())) or "none"
