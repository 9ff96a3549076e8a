"""What this package offers to Jurist; the class is imported only when it is used."""

from __future__ import annotations

from collections.abc import Iterator

from jurist import Component, hookimpl


@hookimpl
def jurist_judges() -> Iterator[Component]:
    """The judge ``replay``."""
    yield Component("replay", "jurist_replay.judge:ReplayJudge", "Answers from a file of recorded verdicts.")
