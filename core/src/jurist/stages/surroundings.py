"""Surroundings: what the work of a stage is made of, in a run or in the rehearsal of a plan."""

from __future__ import annotations

from typing import Protocol

from jurist.artifacts import Artifacts
from jurist.constitution import Constitution
from jurist.contracts import Contract
from jurist.judges.orders import InOrders
from jurist.stage_settings import Reference


class Builder(Protocol):
    """Builds components; an :class:`Assembly` does."""

    def build(
        self, kind: str, reference: Reference, where: str = "", orders: InOrders | None = None
    ) -> Contract:
        """A component that plays the role ``kind``, a judge in these presentation orders."""


class Surroundings(Protocol):
    """What the work of a stage is made of; a :class:`StageContext`, or a plan's rehearsal."""

    @property
    def constitution(self) -> Constitution:
        """What its components go by."""

    @property
    def artifacts(self) -> Artifacts:
        """What earlier stages hand on."""

    @property
    def assembly(self) -> Builder:
        """Where its components come from."""
