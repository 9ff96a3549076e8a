"""Plugins, loaded in isolation: what each offers, or why it cannot be used."""

from __future__ import annotations

import difflib
import inspect
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import pluggy

from jurist import hookspecs
from jurist.component import Component
from jurist.contracts import CONTRACTS
from jurist.errors import PluginError
from jurist_registry.discovery import InstalledPlugin

PROJECT = "jurist"

IN_PROCESS = "in this process"
"""Where a plugin is from that no distribution brought."""


@dataclass(frozen=True)
class Plugin:
    """A plugin that is loaded: its hooks and the components it offers."""

    name: str
    distribution: str
    hooks: object
    components: tuple[Component, ...]

    @property
    def project(self) -> str:
        """The distribution's name without its version; its own name, if no distribution brought it."""
        return self.name if self.distribution == IN_PROCESS else self.distribution.split()[0]

    def answers_to(self, qualifier: str) -> bool:
        """Whether ``qualifier`` means this plugin: its own name, or its distribution's."""
        return qualifier in (self.name, self.project)


@dataclass(frozen=True)
class BrokenPlugin:
    """A plugin that cannot be used, and why; it blocks nothing but its own components."""

    name: str
    distribution: str
    error: PluginError

    @property
    def project(self) -> str:
        """The distribution's name without its version."""
        return self.distribution.split()[0]

    def answers_to(self, qualifier: str) -> bool:
        """Whether ``qualifier`` means this plugin: its own name, or its distribution's."""
        return qualifier in (self.name, self.project)

    @property
    def cause(self) -> str:
        """Why it cannot be used, in one line."""
        return self.error.cause or self.error.what

    @property
    def hint(self) -> str:
        """The next command to try."""
        return self.error.hint or ""


def new_manager() -> pluggy.PluginManager:
    """A plugin manager that knows the hooks of Jurist."""
    manager = pluggy.PluginManager(PROJECT)
    manager.add_hookspecs(hookspecs)
    return manager


def load_installed(installed: InstalledPlugin) -> Plugin:
    """Import an installed plugin's module and collect what it offers.

    Raises:
        PluginError: it cannot be used; says why, and what to try.
    """
    try:
        unmet = installed.unmet_of_jurist()
        hooks = None if unmet else installed.entry_point.load()
    except (Exception, SystemExit) as error:
        hint = f"pip install -U {installed.project} (or: jurist plugins doctor --why {installed.name})"
        raise _error(installed.name, installed.distribution, error, hint) from error
    if unmet:
        cause = "; ".join(f"{installed.project} {one}" for one in unmet)
        hint = " ".join(["pip install -U", installed.project, *(one.requirement.name for one in unmet)])
        raise _error(installed.name, installed.distribution, cause, hint)
    hint = f"jurist plugins doctor --why {installed.name}, then tell the author of {installed.project}"
    return load(hooks, installed.name, installed.distribution, hint)


def load(hooks: object, name: str, distribution: str, hint: str) -> Plugin:
    """Collect what the plugin ``hooks`` (a module or an object with hook methods) offers.

    ``hint`` is what to try if that cannot be done.

    Raises:
        PluginError: a hook is misspelt, has wrong arguments, fails, or gives something else than components.
    """
    probe = new_manager()
    try:
        probe.register(hooks, name)
    except pluggy.PluginValidationError as error:
        raise _error(name, distribution, error, hint) from error
    faults = [*_misspelt(probe, hooks), *_undecorated(probe, hooks)]
    if faults:
        raise _error(name, distribution, "; ".join(faults), hint)
    if not probe.get_hookcallers(hooks):
        raise _error(name, distribution, "it has no function decorated with jurist.hookimpl", hint)
    try:
        components = tuple(_components(probe, distribution))
    except PluginError as error:
        raise _error(name, distribution, error.what, hint) from error
    except Exception as error:
        raise _error(name, distribution, error, hint) from error
    return Plugin(name, distribution, hooks, components)


def _error(name: str, distribution: str, cause: str | BaseException, hint: str) -> PluginError:
    return PluginError(
        f"plugin '{name}' could not be loaded.", provided_by=distribution, cause=cause, hint=hint
    )


def _misspelt(probe: pluggy.PluginManager, hooks: object) -> Iterator[str]:
    known = _known_hooks()
    for caller in probe.get_hookcallers(hooks) or ():
        if caller.has_spec() or all(implementation.optionalhook for implementation in caller.get_hookimpls()):
            continue
        close = difflib.get_close_matches(caller.name, known, n=1, cutoff=0.5)
        guess = f"; did you mean '{close[0]}'?" if close else f" (known: {', '.join(known)})"
        yield f"there is no hook '{caller.name}'{guess}"


def _undecorated(probe: pluggy.PluginManager, hooks: object) -> Iterator[str]:
    for name in _known_hooks():
        if inspect.isroutine(getattr(hooks, name, None)) and probe.parse_hookimpl_opts(hooks, name) is None:
            yield f"the function '{name}' is not decorated with jurist.hookimpl, so it is not a hook"


def _known_hooks() -> list[str]:
    return sorted(name for name in vars(hookspecs) if name.startswith(f"{PROJECT}_"))


def _components(probe: pluggy.PluginManager, distribution: str) -> Iterator[Component]:
    for kind in CONTRACTS:
        caller = getattr(probe.hook, f"{PROJECT}_{kind}s")
        if not caller.get_hookimpls():
            continue
        taken: set[str] = set()
        # A hook that returns None gives no result at all, which would pass unnoticed.
        for component in _checked(caller.name, caller() or [None]):
            if component.name in taken:
                raise PluginError(f"{caller.name} offers '{component.name}' twice")
            taken.add(component.name)
            yield component.collected(kind, distribution)


def _checked(hook: str, results: Iterable[object]) -> Iterator[Component]:
    for result in results:
        if not isinstance(result, Iterable):
            raise PluginError(f"{hook} gave {result!r}; it must yield components or return a list of them")
        for item in result:
            if not isinstance(item, Component):
                raise PluginError(f"{hook} gave {item!r}, which is not a jurist.Component")
            if not item.name or ":" in item.name or item.target.count(":") != 1:
                raise PluginError(
                    f"{hook} gave {item!r}; it needs a name without ':' and a target 'package.module:Class'"
                )
            yield item
