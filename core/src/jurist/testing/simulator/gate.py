"""The limits of the simulated provider."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

Clock = Callable[[], float]


class Bucket:
    """A bucket of permits that holds a minute's worth, and is refilled all the time."""

    def __init__(self, per_minute: float, clock: Clock = time.monotonic) -> None:
        self._per_second = per_minute / 60
        self._size = max(1.0, per_minute)
        self._left = self._size
        self._clock = clock
        self._filled = clock()

    def take(self) -> float:
        """Take a permit. The seconds until there will be one; 0 means that it was taken."""
        now = self._clock()
        self._left = min(self._size, self._left + (now - self._filled) * self._per_second)
        self._filled = now
        # A permit that is short of whole by a rounding error is one, or the promised wait would not do.
        if self._left >= 1 - 1e-9:
            self._left -= 1
            return 0.0
        return (1 - self._left) / self._per_second


def retry_after(seconds: float, as_date: bool) -> dict[str, str]:
    """The header Retry-After; a date is rounded up to the second, for it has no fractions."""
    if not as_date:
        return {"Retry-After": f"{seconds:g}"}
    then = datetime.now(UTC) + timedelta(seconds=seconds)
    if then.microsecond:
        then = then.replace(microsecond=0) + timedelta(seconds=1)
    return {"Retry-After": format_datetime(then, usegmt=True)}


def retry_after_whole(seconds: float, as_date: bool) -> dict[str, str]:
    """Retry-After rounded up to the second, and OpenAI's header with the milliseconds."""
    whole = retry_after(seconds if as_date else math.ceil(seconds), as_date)
    return {**whole, "retry-after-ms": str(math.ceil(seconds * 1000))}
