"""From settings to working components: built once, metered, put into the asked role."""

from __future__ import annotations

import json
from typing import Any, cast

from jurist.contracts import ChatModel, Contract, Judge
from jurist.engine.engine import Engine
from jurist.engine.metered import metered
from jurist.judges.orders import InOrders
from jurist.roles import ROLES
from jurist.selection import ComponentSource, Selection, select
from jurist.stage_settings import Reference

_UNMETERED = ("aggregator", "trainer")


class Assembly:
    """Builds components on one engine.

    What has the same settings is one object, whatever it is called and whatever roles it plays, so
    weights are loaded once. Each name is metered, limited and budgeted for itself.
    """

    def __init__(self, source: ComponentSource, engine: Engine) -> None:
        self.source = source
        self._engine = engine
        self._implementations: dict[str, Contract] = {}
        self._metered: dict[str, Contract] = {}
        self._judges: list[Contract] = []

    def build(
        self, kind: str, reference: Reference, where: str = "", orders: InOrders | None = None
    ) -> Contract:
        """A component that is metered and plays the role ``kind``.

        ``orders`` are put around a judge; around those inside, where it is a judge of judges.
        """
        return self._build(select(kind, reference, self.source, where), orders)

    def _build(self, selection: Selection, orders: InOrders | None) -> Contract:
        if selection.kind in _UNMETERED:
            return selection.implementation(selection.options)
        if selection.asks_others:
            inside = {place: self._build(each, orders) for place, each in selection.judges.items()}
            judge: Contract = cast(Any, selection.implementation)(selection.options, inside)
            self._judges.append(judge)
            return self._meter(judge, selection)
        component = self._asked(selection)
        return component if orders is None else orders(cast(Judge, component))

    def _asked(self, selection: Selection) -> Contract:
        batching = selection.batching and selection.batching.model_dump()
        key = json.dumps([_key(selection), selection.label, selection.limits.model_dump(), batching])
        if key not in self._metered:
            self._metered[key] = self._meter(self._implementation(selection), selection)
        base = self._metered[key]
        if selection.role_options is None:
            return base
        role: Contract = cast(Any, ROLES[selection.kind])(base, selection.role_options)
        return self._meter(role, selection)

    def _implementation(self, selection: Selection) -> Contract:
        key = _key(selection)
        if key not in self._implementations:
            self._implementations[key] = selection.implementation(selection.options)
        return self._implementations[key]

    def _meter(self, inner: Contract, selection: Selection) -> Contract:
        return metered(
            inner,
            engine=self._engine,
            label=selection.label,
            provided_by=selection.component.provided_by,
            limits=selection.limits,
            batching=selection.batching,
        )

    def unpriced(self, selection: Selection) -> bool:
        """Whether some calls of it, or of judges inside, cost nobody knows what."""
        models = (each for _, each in selection.within("") if issubclass(each.implementation, ChatModel))
        return any(cast(ChatModel, self._implementation(each)).price() is None for each in models)

    async def close(self) -> None:
        """Close every component that was built, the last one first; what is built later is new."""
        await self._engine.release()
        while self._judges:
            await self._judges.pop().close()
        while self._implementations:
            _, implementation = self._implementations.popitem()
            await implementation.close()
        self._metered.clear()


def _key(selection: Selection) -> str:
    """The class and the settings that make an object; secrets count, so this stays in memory."""
    options = selection.implementation.Options.model_fields
    own = {name: value for name, value in selection.settings.items() if name in options}
    return json.dumps([selection.component.target, own], sort_keys=True)
