"""Money as people read it."""

from __future__ import annotations

import math


def in_usd(amount: float, decimals: int = 2) -> str:
    """``0.12``; of less than a cent as many decimals as show two digits: ``0.0034``, ``0.000031``."""
    if 0 < abs(amount) < 0.01:
        decimals = max(decimals, 1 - math.floor(math.log10(abs(amount))))
    return f"{amount:,.{decimals}f}"
