"""FirstErrors: what those who failed in a stage said first, which is told where nothing came of it."""

from __future__ import annotations

from jurist.records import Failure, Outcome


class FirstErrors:
    """One error of everyone who failed."""

    def __init__(self) -> None:
        self._errors: dict[str, str] = {}

    def note(self, who: str, outcome: Outcome) -> None:
        """Keep the error of a failure, if ``who`` has none yet."""
        if isinstance(outcome, Failure):
            self._errors.setdefault(who, f"{who}: {outcome.error}")

    @property
    def lines(self) -> tuple[str, ...]:
        """A line each: who failed, and why."""
        return tuple(self._errors.values())
