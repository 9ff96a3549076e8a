"""Bounds: what is known of a number is that it lies between two."""

from __future__ import annotations

import math
from collections.abc import Iterable

from jurist.records import Record


class Bounds(Record):
    """At least ``low``, at most ``high``."""

    low: int | float = 0
    high: int | float = 0

    def __add__(self, other: Bounds) -> Bounds:
        return Bounds(low=self.low + other.low, high=self.high + other.high)

    def __mul__(self, factor: float) -> Bounds:
        return Bounds(low=self.low * factor, high=self.high * factor)

    def unbounded(self) -> Bounds:
        """The bounds of any multiple of it: nothing where it is nothing, else from nothing to infinity."""
        return Bounds(high=math.inf if self.high else 0)

    @classmethod
    def of(cls, value: float) -> Bounds:
        """The bounds of what is known exactly."""
        return cls(low=value, high=value)

    @classmethod
    def sum(cls, each: Iterable[Bounds]) -> Bounds:
        """The bounds of a sum."""
        return sum(each, cls())
