"""What goes wrong at the simulated provider, and how often."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Literal, cast

CallFault = Literal["rate_limited", "server_error", "overloaded", "reset", "stall", "truncated", "not_json"]
Fault = CallFault | Literal["garbage", "refusal"]
LineFault = Literal["batch_expired", "batch_errored", "garbage", "refusal"]

OF_CALLS: tuple[CallFault, ...] = (
    *("rate_limited", "server_error", "overloaded", "reset", "stall", "truncated", "not_json"),
)
OF_GENERATIONS: tuple[Fault, ...] = (*OF_CALLS, "garbage", "refusal")
OF_LINES: tuple[LineFault, ...] = ("batch_expired", "batch_errored", "garbage", "refusal")


@dataclass(frozen=True, kw_only=True)
class Faults:
    """The share of requests that each fault befalls, from 0 to 1.

    Any call:

    * ``rate_limited``: 429, at once. ``retry_after`` seconds are in the header Retry-After, as an HTTP date
      with ``retry_after_date``; None leaves the header out. With ``insufficient_quota`` the account is out
      of credit instead, which no waiting mends: OpenAI's 429 of that code, Anthropic's 402.
    * ``server_error``: 500. ``overloaded``: 529.
    * ``reset``: the connection is reset before anything is sent.
    * ``stall``: no answer; the connection is closed after ``stall_seconds``.
    * ``truncated``: the connection closes in the middle of the answer; by turns one that announced its
      length and one in chunks.
    * ``not_json``: 200, with an HTML page.

    Generations, and requests in batches:

    * ``garbage``: a well-formed answer of words that mean nothing.
    * ``refusal``: OpenAI's by turns a finish reason and a refusal in the message.

    Requests in batches alone: ``batch_expired``, ``batch_errored``.

    Generations take as long to fail as to be answered, except for 429 (at once) and stalls.
    """

    rate_limited: float = 0.0
    server_error: float = 0.0
    overloaded: float = 0.0
    reset: float = 0.0
    stall: float = 0.0
    truncated: float = 0.0
    not_json: float = 0.0
    garbage: float = 0.0
    refusal: float = 0.0
    batch_expired: float = 0.0
    batch_errored: float = 0.0
    retry_after: float | None = 1.0
    retry_after_date: bool = False
    insufficient_quota: bool = False
    stall_seconds: float = 60.0

    def __post_init__(self) -> None:
        wrong = [
            f"{name}={self.share(name)}"
            for name in dict.fromkeys((*OF_GENERATIONS, *OF_LINES))
            if not 0 <= self.share(name) <= 1
        ]
        if wrong:
            raise ValueError(f"shares of faults go from 0 to 1, not {', '.join(wrong)}")
        for names in (OF_GENERATIONS, OF_LINES):
            if (total := sum(map(self.share, names))) > 1 + 1e-9:
                raise ValueError(f"the shares of {', '.join(names)} add up to {total:g}, more than 1")

    def share(self, name: str) -> float:
        """The share of the fault called ``name``."""
        return cast(float, getattr(self, name))


class FaultDraws:
    """Draws faults in order of arrival; what is drawn for one sort of request does not move the others."""

    def __init__(self, faults: Faults, seed: int) -> None:
        self._generations = _Draw(faults, OF_GENERATIONS, seed, "generations")
        self._calls = _Draw(faults, OF_CALLS, seed, "calls")
        self._lines = _Draw(faults, OF_LINES, seed, "lines")

    def of_generation(self) -> Fault | None:
        """What befalls the next generation."""
        return cast("Fault | None", self._generations.next())

    def of_call(self) -> CallFault | None:
        """What befalls the next call about files, batches or models."""
        return cast("CallFault | None", self._calls.next())

    def of_line(self) -> LineFault | None:
        """What befalls the next request of a batch."""
        return cast("LineFault | None", self._lines.next())


class _Draw:
    """One stream of draws."""

    def __init__(self, faults: Faults, names: Sequence[str], seed: int, stream: str) -> None:
        self._random = Random(f"{seed}/{stream}")
        self._names: tuple[str | None, ...] = (*names, None)
        self._bounds = list(accumulate(map(faults.share, names)))

    def next(self) -> str | None:
        return self._names[bisect_right(self._bounds, self._random.random())]
