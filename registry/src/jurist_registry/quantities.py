"""Quantities: numbers and their bounds, as short as a table needs them."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

from jurist.money import in_usd

if TYPE_CHECKING:
    from jurist.planning.bounds import Bounds


def range_text(bounds: Bounds, text: Callable[[float], str]) -> str:
    """``1.2–8.3 h``: both bounds, or one where they read the same; a unit that they share is said once."""
    if math.isinf(bounds.high):
        return "unknown"
    low, high = text(bounds.low), text(bounds.high)
    if low == high:
        return low
    number, _, unit = low.partition(" ")
    return f"{number if unit and high.endswith(f' {unit}') else low}–{high}"


def count_text(number: float) -> str:
    """``12,345``, and from a million on ``1.23M``."""
    return f"{number:,.0f}" if number < 1e6 else tokens_text(number)


def tokens_text(number: float) -> str:
    """``950``, ``12.3k``, ``1.23M``: three digits are enough for what is partly estimated."""
    for size, letter in ((1e9, "B"), (1e6, "M"), (1e3, "k")):
        if number >= 0.9995 * size:
            text = _three_digits(number / size)
            return (text.rstrip("0").rstrip(".") if "." in text else text) + letter
    return f"{number:.0f}"


def usd_text(dollars: float) -> str:
    """``0``, ``0.0034``, ``1.25``, ``12.5``, ``1,234``."""
    if not dollars:
        return "0"
    return in_usd(dollars) if dollars < 0.01 else _three_digits(dollars)


def time_text(seconds: float) -> str:
    """``40 s``, ``6.7 min``, ``12 h``."""
    for size, unit in ((3600, "h"), (60, "min")):
        if seconds >= size:
            value = seconds / size
            return f"{value:.1f} {unit}" if value < 9.95 else f"{value:,.0f} {unit}"
    return f"{seconds:.0f} s"


def _three_digits(number: float) -> str:
    """``1.25``, ``12.5``, ``125``, ``1,250``."""
    decimals = 2 if number < 9.995 else 1 if number < 99.95 else 0
    return f"{number:,.{decimals}f}"
