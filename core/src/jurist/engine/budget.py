"""Budget: caps on money and tokens that a run cannot pass."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass

from jurist.engine.ledger import Tally
from jurist.errors import BudgetStop
from jurist.money import in_usd
from jurist.records import NO_USAGE, Usage


@dataclass(slots=True)  # not frozen: every call makes several, and frozen ones take five times as long
class Cost:
    """Money and tokens: what the caps are about."""

    usd: float = 0.0
    tokens: int = 0

    @classmethod
    def of(cls, usage: Usage) -> Cost:
        """The cost of one call."""
        return cls(usage.usd, usage.prompt_tokens + usage.completion_tokens)

    def __add__(self, other: Cost) -> Cost:
        return Cost(self.usd + other.usd, self.tokens + other.tokens)

    def __sub__(self, other: Cost) -> Cost:
        return Cost(self.usd - other.usd, self.tokens - other.tokens)

    def most(self, other: Cost) -> Cost:
        """The larger of each."""
        return Cost(max(self.usd, other.usd), max(self.tokens, other.tokens))


class Budget:
    """Lets a call start only if what is spent and what is in flight stay within the caps.

    A call is taken to cost as much as the dearest of its component so far. A component's very first
    call runs alone, since nothing is known of its cost.
    """

    def __init__(self, max_usd: float | None = None, max_tokens: int | None = None) -> None:
        self.max_usd = max_usd
        self.max_tokens = max_tokens
        self.spent = Cost()
        self._in_flight = Cost()
        self._calls: Counter[str] = Counter()
        self._dearest: dict[str, Cost] = {}
        self._changed = asyncio.Event()

    def begin(self, tallies: Mapping[str, Tally], failed: Usage = NO_USAGE) -> None:
        """Count what was spent before, so that running again does not start the caps anew.

        ``failed``: what calls cost that were not answered.
        """
        self.spent += Cost.of(failed)
        for component, tally in tallies.items():
            self.spent += Cost.of(tally.usage)
            self._dearest[component] = Cost(tally.largest_usd, tally.largest_tokens)

    async def reserve(self, component: str, bound: Cost | None = None) -> Cost:
        """Set the cost of one call aside; waits while it depends on the calls in flight.

        ``bound`` is what it may cost at most, where many calls are begun before the first is paid for.

        Raises:
            BudgetStop: the call could pass a cap.
        """
        if self.max_usd is None and self.max_tokens is None:
            return Cost()
        while True:
            estimate = self._dearest.get(component)
            if bound is not None:
                estimate = bound if estimate is None else estimate.most(bound)
            if not self._fits(self.spent + (estimate or Cost())):
                raise self._stop(component, estimate or Cost())
            known = estimate is not None or not self._calls[component]
            if known and self._fits(self.spent + self._in_flight + (estimate or Cost())):
                break
            await self._changed.wait()
        reserved = estimate or Cost()
        self._in_flight += reserved
        self._calls[component] += 1
        return reserved

    def settle(self, component: str, reserved: Cost, usage: Usage | None) -> None:
        """A call is over: ``usage`` is what it cost, or None if that is nothing, or counted by itself."""
        if usage is not None:
            self.count(component, usage)
        if self.max_usd is None and self.max_tokens is None:
            return
        self._in_flight -= reserved
        self._calls[component] -= 1
        changed, self._changed = self._changed, asyncio.Event()
        changed.set()

    def count(self, component: str, usage: Usage) -> None:
        """Add what a call cost."""
        cost = Cost.of(usage)
        self.spent += cost
        self._dearest[component] = self._dearest.get(component, Cost()).most(cost)

    def _fits(self, cost: Cost) -> bool:
        if self.max_usd is not None and cost.usd > self.max_usd + 1e-9:
            return False
        return self.max_tokens is None or cost.tokens <= self.max_tokens

    def _stop(self, component: str, estimate: Cost) -> BudgetStop:
        caps = []
        if self.max_usd is not None:
            caps.append(f"${in_usd(self.spent.usd, 4)} of ${self.max_usd:g}")
        if self.max_tokens is not None:
            caps.append(f"{self.spent.tokens:,} of {self.max_tokens:,} tokens")
        return BudgetStop(
            f"The budget is used up: {' and '.join(caps)} spent, and the next call of '{component}' may cost"
            f" ${in_usd(estimate.usd, 4)} and {estimate.tokens:,} tokens.",
            hint="raise the cap and run the same command again; what was paid for is kept",
        )
