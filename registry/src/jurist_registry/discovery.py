"""What is installed: plugins named by entry points of the group ``jurist``, read without importing them."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import Distribution, EntryPoint, PackageNotFoundError, entry_points, version

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from jurist.errors import UsageError
from jurist.near_names import near_miss

GROUP = "jurist"
VARIABLE = "JURIST_PLUGINS"


@dataclass(frozen=True)
class InstalledPlugin:
    """A plugin that an installed distribution names; nothing of it is imported."""

    entry_point: EntryPoint

    @property
    def name(self) -> str:
        """The name of the entry point."""
        return self.entry_point.name

    @property
    def project(self) -> str:
        """The name of the distribution: ``jurist-mylab``."""
        return _distribution(self.entry_point).name

    @property
    def distribution(self) -> str:
        """Name and version of the distribution: ``jurist-mylab 0.1``."""
        return f"{self.project} {_distribution(self.entry_point).version}"

    def answers_to(self, name: str) -> bool:
        """Whether ``name`` means this plugin: its own name, its distribution's, or both."""
        return name in (self.name, self.project, f"{self.project}:{self.name}")

    def unmet_requirements(self) -> list[UnmetRequirement]:
        """What its distribution requires and the installed versions do not give."""
        return list(_unmet(self._requirements()))

    def unmet_of_jurist(self) -> list[UnmetRequirement]:
        """Those that ask for another version of Jurist itself, so that nothing can be expected to work."""
        of_jurist = (one for one in self._requirements() if canonicalize_name(one.name).startswith("jurist-"))
        return list(_unmet(of_jurist))

    def _requirements(self) -> list[Requirement]:
        return [Requirement(text) for text in _distribution(self.entry_point).requires or ()]


@dataclass(frozen=True)
class UnmetRequirement:
    """A requirement of a distribution that what is installed does not meet."""

    requirement: Requirement
    installed: str | None

    def __str__(self) -> str:
        wanted = f"{self.requirement.name}{self.requirement.specifier}"
        found = f"{self.installed} is installed" if self.installed else "it is not installed"
        return f"requires {wanted}, but {found}"


def installed_plugins() -> list[InstalledPlugin]:
    """Every plugin installed in this environment, by name and distribution."""
    found = (InstalledPlugin(entry) for entry in entry_points(group=GROUP))
    return sorted(found, key=lambda plugin: (plugin.name, plugin.project))


def only_from(environment: Mapping[str, str] = os.environ) -> list[str] | None:
    """The plugins that ``JURIST_PLUGINS`` names: None when it is unset, none of them when it is empty."""
    setting = environment.get(VARIABLE)
    if setting is None:
        return None
    return [name.strip() for name in setting.split(",") if name.strip()]


def select(
    plugins: Iterable[InstalledPlugin], disabled: Iterable[str], only: Iterable[str] | None
) -> list[InstalledPlugin]:
    """The plugins of ``only`` (all, if None) without the ``disabled`` ones.

    Raises:
        UsageError: a name means no installed plugin.
    """
    known, excluded, wanted = list(plugins), list(disabled), None if only is None else list(only)
    names = {plugin.name for plugin in known}
    faults = [
        f"no plugin is called '{name}'{near_miss(name, names)}"
        for name in [*excluded, *(wanted or [])]
        if not any(plugin.answers_to(name) for plugin in known)
    ]
    if faults:
        raise UsageError.of_faults(
            f"--no-plugin or {VARIABLE}", faults, hint="jurist plugins list, to see what is installed"
        )
    return [
        plugin
        for plugin in known
        if (wanted is None or any(plugin.answers_to(name) for name in wanted))
        and not any(plugin.answers_to(name) for name in excluded)
    ]


def _distribution(entry_point: EntryPoint) -> Distribution:
    if entry_point.dist is None:
        raise ValueError(f"entry point {entry_point.name} was made by hand, without a distribution")
    return entry_point.dist


def _unmet(requirements: Iterable[Requirement]) -> Iterator[UnmetRequirement]:
    for requirement in requirements:
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            installed = version(requirement.name)
        except PackageNotFoundError:
            yield UnmetRequirement(requirement, None)
            continue
        if not requirement.specifier.contains(installed, prereleases=True):
            yield UnmetRequirement(requirement, installed)
