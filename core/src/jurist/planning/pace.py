"""Pace: how long calls of a service take, as far as their limits say it."""

from __future__ import annotations

import math

from jurist.engine.limits import Limits
from jurist.planning.bounds import Bounds

FASTEST, SLOWEST = 1.0, 10.0
"""Seconds that one call is taken to last, at least and at most."""


def seconds_of(calls: Bounds, tokens: Bounds, limits: Limits) -> Bounds:
    """How long so many calls take within the limits, ``tokens`` those of their prompts and answers."""
    return Bounds(
        low=_seconds(calls.low, tokens.low, limits, FASTEST),
        high=_seconds(calls.high, tokens.high, limits, SLOWEST),
    )


def _seconds(calls: float, tokens: float, limits: Limits, latency: float) -> float:
    """The longest of: calls side by side, calls per minute, tokens per minute."""
    longest = math.ceil(calls / limits.concurrency) * latency
    if limits.requests_per_minute is not None:
        longest = max(longest, 60 * calls / limits.requests_per_minute)
    if limits.tokens_per_minute is not None:
        longest = max(longest, 60 * tokens / limits.tokens_per_minute)
    return longest
