"""The registry: what every usable plugin offers, and what is broken and why."""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterable, Iterator
from importlib.metadata import version

import pluggy

from jurist.component import Component
from jurist.contracts import CONTRACTS
from jurist.errors import PluginError, UsageError
from jurist.near_names import near_miss
from jurist_registry.catalogue import CATALOGUE
from jurist_registry.discovery import InstalledPlugin, installed_plugins, only_from, select
from jurist_registry.plugin import IN_PROCESS, BrokenPlugin, Plugin, load, load_installed, new_manager

ROLES = frozenset({"generator", "critic", "reviser", "judge", "scorer"})
"""The kinds that core builds of any chat model."""

_DISTRIBUTION = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")
"""What a distribution may be called; what else stands before a colon names none that could be installed."""


class Registry:
    """Finds components by kind and name among core's own, the installed plugins and registered ones.

    Installed plugins are loaded when something is first asked for, each in isolation: a broken one is
    kept in :attr:`broken`, and is an error only when one of its components is asked for.
    """

    def __init__(self, installed: Iterable[InstalledPlugin] = (), disabled: Iterable[str] = ()) -> None:
        self._waiting = list(installed)
        self._disabled = frozenset(disabled)
        self._manager = new_manager()
        self._plugins: list[Plugin] = []
        self._broken: list[BrokenPlugin] = []
        self._core_loaded = False

    @classmethod
    def discover(cls, disabled: Iterable[str] = (), only: Iterable[str] | None = None) -> Registry:
        """A registry of what is installed; imports none of it yet.

        ``disabled`` plugins are left out; with ``only`` all others are. Without ``only`` the environment
        variable ``JURIST_PLUGINS`` decides (``a,b``; empty means core alone).

        Raises:
            UsageError: a name means no installed plugin.
        """
        installed = installed_plugins()
        chosen = select(installed, disabled, only_from() if only is None else only)
        left_out = {
            name for plugin in installed if plugin not in chosen for name in (plugin.name, plugin.project)
        }
        return cls(chosen, left_out)

    def register(self, plugin: object, name: str | None = None) -> None:
        """Add a plugin of this process: a module, or an object with hook methods.

        Raises:
            PluginError: it cannot be used; says why.
            UsageError: it is a class, or its name is taken.
        """
        if isinstance(plugin, type):
            raise UsageError(
                f"{plugin.__name__} is a class.", hint=f"register an instance: {plugin.__name__}()"
            )
        label = name or getattr(plugin, "__name__", None) or type(plugin).__name__
        if any(known.name == label and known.distribution == IN_PROCESS for known in self._plugins):
            raise UsageError(f"a plugin named '{label}' is already registered.", hint="give it another name=")
        self._add(load(plugin, label, IN_PROCESS, "correct it, then register it again"))

    @property
    def plugins(self) -> tuple[Plugin, ...]:
        """Every plugin that can be used; core's own components come first."""
        self._load()
        return tuple(self._plugins)

    @property
    def broken(self) -> tuple[BrokenPlugin, ...]:
        """Every plugin that cannot be used, and why."""
        self._load()
        return tuple(self._broken)

    @property
    def hooks(self) -> pluggy.HookRelay:
        """The hooks of all usable plugins, for :class:`jurist.events.Events`."""
        self._load()
        return self._manager.hook

    def components(self, kind: str | None = None) -> tuple[Component, ...]:
        """What the usable plugins offer, of one kind or of all."""
        return tuple(c for p in self.plugins for c in p.components if kind in (None, c.kind))

    def find(self, kind: str, name: str) -> Component:
        """The component ``name`` of a kind, or the chat model of that name if core can build the kind of it.

        ``name`` may be ``distribution:name``, for a name that two distributions offer.

        Raises:
            UsageError: nothing has that name; says what is near and what to install.
            PluginError: two distributions offer it, or the plugin that should is broken.
        """
        for candidate in [kind, "chat_model"] if kind in ROLES else [kind]:
            offers = list(self._offers(candidate, name))
            if len(offers) == 1:
                return offers[0][1]
            if offers:
                raise _ambiguous(candidate, name, offers)
        raise self._unknown(kind, name)

    def _offers(self, kind: str, name: str) -> Iterator[tuple[Plugin, Component]]:
        if kind not in CONTRACTS:
            raise UsageError(f"there is no kind of component '{kind}'{near_miss(kind, CONTRACTS)}")
        qualifier, _, bare = name.rpartition(":")
        for plugin in self.plugins:
            if qualifier and not plugin.answers_to(qualifier):
                continue
            yield from ((plugin, c) for c in plugin.components if c.kind == kind and c.name == bare)

    def _unknown(self, kind: str, name: str) -> UsageError | PluginError:
        qualifier, _, bare = name.rpartition(":")
        distribution = qualifier or CATALOGUE.get(bare, "")
        for plugin in self._broken:
            if plugin.name in (bare, qualifier) or plugin.project == distribution:
                return PluginError(
                    f"{kind} '{name}' could not be loaded.",
                    provided_by=plugin.distribution,
                    cause=plugin.cause,
                    hint=plugin.hint,
                )
        kinds = (kind, "chat_model") if kind in ROLES else (kind,)
        known = {component.name for one in kinds for component in self.components(one)}
        hint = "jurist plugins list, to see what each plugin offers"
        if {bare, distribution} & self._disabled:
            hint = "its plugin is disabled: drop --no-plugin, or set JURIST_PLUGINS otherwise"
        elif _DISTRIBUTION.fullmatch(distribution) and not any(
            plugin.answers_to(distribution) for plugin in self._plugins
        ):
            hint = f"pip install {distribution}"
        suspects = ", ".join(f"{plugin.name} ({plugin.distribution})" for plugin in self._broken)
        what = f"no {kind} is called '{name}'{near_miss(bare, known)}"
        if others := [other for other in CONTRACTS if next(self._offers(other, name), None)]:
            what = f"'{name}' is {_either(others)}, no {kind} (known: {', '.join(sorted(known)) or 'none'})"
        return UsageError(
            what,
            cause=f"perhaps of a broken plugin: {suspects}" if suspects else None,
            hint=hint,
        )

    def _load(self) -> None:
        if not self._core_loaded:
            self._core_loaded = True
            builtin = importlib.import_module("jurist.builtin")
            core = f"jurist-core {version('jurist-core')}"
            self._add(load(builtin, "core", core, "pip install -U jurist-core"), first=True)
        while self._waiting:
            installed = self._waiting.pop(0)
            try:
                self._add(load_installed(installed))
            except PluginError as error:
                self._broken.append(BrokenPlugin(installed.name, installed.distribution, error))

    def _add(self, plugin: Plugin, *, first: bool = False) -> None:
        if self._manager.is_registered(plugin.hooks):
            taken = self._manager.get_name(plugin.hooks)
            raise PluginError(
                f"plugin '{plugin.name}' could not be loaded.",
                provided_by=plugin.distribution,
                cause=f"it is the same module or object as plugin '{taken}'",
                hint="register or install only one of them",
            )
        self._manager.register(plugin.hooks, f"{plugin.project}:{plugin.name}")
        self._plugins.insert(0 if first else len(self._plugins), plugin)


def _either(kinds: Iterable[str]) -> str:
    """``a judge or an aggregator``."""
    return " or ".join(f"{'an' if kind[0] in 'aeiou' else 'a'} {kind.replace('_', ' ')}" for kind in kinds)


def _ambiguous(kind: str, name: str, offers: list[tuple[Plugin, Component]]) -> PluginError:
    choices = " or ".join(f"'{plugin.project}:{component.name}'" for plugin, component in offers)
    return PluginError(
        f"{kind} '{name}' is offered more than once.",
        provided_by=" and ".join(component.provided_by for _, component in offers),
        hint=f"name the one you mean: {choices}",
    )
