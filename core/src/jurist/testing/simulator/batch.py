"""A batch of requests."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass, field
from typing import Any, Literal

from jurist.testing.simulator.faults import LineFault

Kind = Literal["succeeded", "errored", "expired", "canceled"]


@dataclass(frozen=True)
class Result:
    """What became of a request: the body of its answer or its error, and the status it would have had."""

    kind: Kind
    status: int = 200
    body: dict[str, Any] | None = None


@dataclass(eq=False)
class Line:
    """A request in a batch, the fault that will strike it, and its result once there is one."""

    custom_id: str
    body: Any
    fault: LineFault | None = None
    result: Result | None = None


@dataclass(eq=False)
class Batch:
    """Requests that are answered together.

    ``told`` is what the provider was told about the batch, ``found`` what it found out; both are the
    provider's own. Times are seconds since 1970. ``nudge`` wakes whoever works on the batch.
    """

    id: str
    lines: list[Line]
    told: dict[str, Any]
    created: float
    found: dict[str, Any] = field(default_factory=dict)
    cancelled: float | None = None
    ended: float | None = None
    nudge: asyncio.Event = field(default_factory=asyncio.Event)

    def counts(self) -> Counter[Kind]:
        """How many requests came to which end."""
        return Counter(line.result.kind for line in self.lines if line.result is not None)
