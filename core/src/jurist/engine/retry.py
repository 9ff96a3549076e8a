"""Retries: how long to wait before a failed call is tried again."""

from __future__ import annotations

import random
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Backoff:
    """Exponential backoff with full jitter: anything up to ``first`` · 2ⁿ seconds, at most ``longest``.

    A provider that says how long to wait is obeyed: never sooner, and a little spread out.
    """

    first: float = 0.5
    longest: float = 60.0
    random: random.Random = field(default_factory=random.Random)

    def delay(self, failures: int, retry_after: float | None = None) -> float:
        """Seconds to wait after the given number of failures of one call."""
        spread = self.random.uniform(0.0, min(self.longest, self.first * 2.0 ** min(failures - 1, 32)))
        return spread if retry_after is None else retry_after + min(spread, self.first)
