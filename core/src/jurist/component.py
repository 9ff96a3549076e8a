"""Component: the name under which a plugin offers a class, imported only when it is used."""

from __future__ import annotations

import importlib
from dataclasses import dataclass, replace

from jurist.contracts import CONTRACTS, Contract
from jurist.errors import PluginError

COMMON_SETTINGS = frozenset({"use", "name", "limits", "batch"})
"""What a recipe may say of any component beside its options, so no option has one of these names."""

_IN_PROCESS = "in this process"


@dataclass(frozen=True)
class Component:
    """A class that a plugin offers.

    ``target`` is ``"package.module:Class"``; ``summary`` one line for ``jurist plugins list``.
    ``kind`` and ``distribution`` are filled in by whoever collects components.
    """

    name: str
    target: str
    summary: str
    kind: str = ""
    distribution: str = _IN_PROCESS

    def collected(self, kind: str, distribution: str) -> Component:
        """The same component, with where it comes from."""
        return replace(self, kind=kind, distribution=distribution)

    @property
    def provided_by(self) -> str:
        """For error messages: ``jurist-mylab 0.1 (jurist_mylab.judge:Judge)``."""
        return f"{self.distribution} ({self.target})"

    def load(self) -> type[Contract]:
        """Import the class.

        Raises:
            PluginError: it cannot be imported, or is not a subclass of its kind's contract.
        """
        hint = "jurist plugins doctor"
        if self.distribution != _IN_PROCESS:
            hint += f" (or reinstall it: pip install -U {self.distribution.split()[0]})"
        module, _, attribute = self.target.partition(":")
        try:
            loaded = getattr(importlib.import_module(module), attribute)
        except Exception as error:
            raise PluginError(
                f"{self.kind} '{self.name}' could not be loaded.",
                provided_by=self.provided_by,
                cause=error,
                hint=hint,
            ) from error
        contract = CONTRACTS[self.kind]
        if not (isinstance(loaded, type) and issubclass(loaded, contract)):
            raise PluginError(
                f"{self.kind} '{self.name}' is not a {contract.__name__}.",
                provided_by=self.provided_by,
                cause=f"{self.target} does not subclass jurist.{contract.__name__}",
                hint=f"subclass jurist.{contract.__name__}, or offer it in another hook",
            )
        return loaded
