"""How a simulator is set up."""

from __future__ import annotations

from dataclasses import dataclass

from jurist.testing.simulator.faults import Faults
from jurist.testing.simulator.latency import Latency

AT_ONCE = Latency.constant(0)
FAULTLESS = Faults()


@dataclass(frozen=True, kw_only=True)
class Settings:
    """Everything about a simulator but its answers; ``Simulator`` says what each setting means."""

    latency: Latency
    faults: Faults
    seed: int
    requests_per_minute: float | None
    capacity: int | None
    batch_seconds: float
    hold_batches: bool
    served_model: str | None
    keys: frozenset[str] | None
    keep_last: int

    def __post_init__(self) -> None:
        if self.capacity is not None and self.capacity < 1:
            raise ValueError(f"capacity must be at least 1, not {self.capacity}")
        if self.requests_per_minute is not None and self.requests_per_minute <= 0:
            raise ValueError(f"requests_per_minute must be more than 0, not {self.requests_per_minute}")
        if self.batch_seconds < 0:
            raise ValueError(f"batch_seconds cannot be negative: {self.batch_seconds}")
