"""What the simulated provider counts."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Mapping
from typing import Any

import orjson


class Counters:
    """What arrived at the simulator and what became of it.

    * ``requests``: calls of any kind that arrived, those with a wrong key too.
    * ``answered``: generations whose whole answer was sent, garbage and refusals among them.
    * ``batched``: the same for requests in batches.
    * ``abandoned``: generations whose client had hung up when the answer was ready. They are billed.
    * ``faults``: how often each fault struck, by its name in ``Faults``; ``requests_per_minute`` and
      ``capacity`` count what those limits turned away, ``answer`` how often the answer function raised.
    * ``in_flight``, ``most_in_flight``: generations being served, now and at most.
    * ``asked``: how often each generation was billed, online or in a batch, by ``Asked.digest``. Billed is
      what a model wrote: also what was abandoned or truncated on its way.
    * ``bodies``, ``headers``: of the last ``keep_last`` requests; a body is JSON where it can be,
      and None for an upload.
    """

    def __init__(self, keep_last: int = 0) -> None:
        self.requests = 0
        self.answered = 0
        self.batched = 0
        self.abandoned = 0
        self.in_flight = 0
        self.most_in_flight = 0
        self.faults: Counter[str] = Counter()
        self.asked: Counter[str] = Counter()
        self.bodies: deque[Any] = deque(maxlen=keep_last)
        self.headers: deque[dict[str, str]] = deque(maxlen=keep_last)

    def arrived(self, headers: Mapping[str, str], data: bytes) -> None:
        """Count a request."""
        self.requests += 1
        if self.bodies.maxlen:
            self.bodies.append(_readable(data))
            self.headers.append(dict(headers))

    def begin(self) -> None:
        """A generation is being served from now on."""
        self.in_flight += 1
        if self.in_flight > self.most_in_flight:
            self.most_in_flight = self.in_flight

    def end(self) -> None:
        """A generation is no longer being served."""
        self.in_flight -= 1

    def snapshot(self) -> dict[str, Any]:
        """All of it but the requests kept, as JSON; safe to take from another thread."""
        return {
            "requests": self.requests,
            "answered": self.answered,
            "batched": self.batched,
            "abandoned": self.abandoned,
            "in_flight": self.in_flight,
            "most_in_flight": self.most_in_flight,
            "faults": dict(self.faults),
            "asked": dict(self.asked),
        }


def _readable(data: bytes) -> Any:
    if not data:
        return None
    try:
        return orjson.loads(data)
    except orjson.JSONDecodeError:
        return data.decode("utf-8", "replace")
