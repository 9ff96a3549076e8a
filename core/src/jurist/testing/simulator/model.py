"""The model behind the simulated provider."""

from __future__ import annotations

from typing import Any

from jurist.testing.simulator.answers import GARBAGE, REFUSAL, Answer, Said, as_letter, cut
from jurist.testing.simulator.asked import Asked
from jurist.testing.simulator.counters import Counters
from jurist.testing.simulator.dialect import Dialect
from jurist.testing.simulator.prompt_cache import CacheUse
from jurist.testing.simulator.rejection import Rejected


class Model:
    """Answers as ``answer`` says, and bills."""

    def __init__(self, answer: Answer, counters: Counters) -> None:
        self._answer = answer
        self._counters = counters

    def generate(self, dialect: Dialect, asked: Asked, use: CacheUse, fault: str | None) -> dict[str, Any]:
        """The body of the answer; ``fault`` may be garbage or a refusal.

        Raises:
            Rejected: the answer function raised; nothing is billed.
        """
        said = self._said(dialect, asked, fault)
        self._counters.asked[asked.digest] += 1
        return dialect.reply(asked, said, use)

    def _said(self, dialect: Dialect, asked: Asked, fault: str | None) -> Said:
        if fault == "refusal":
            return Said(REFUSAL, "refusal", len(REFUSAL.split()))
        if fault == "garbage":
            return cut(GARBAGE, asked.max_tokens, dialect.stops(asked))
        try:
            answer = self._answer(asked)
        except Exception as error:
            self._counters.faults["answer"] += 1
            raise Rejected(500, f"The simulator's answer function raised {error!r}.") from error
        odds = as_letter(asked, answer) if isinstance(answer, str) else answer
        if odds is not None:
            return Said(max(odds, key=lambda word: odds[word]), "stop", 1, odds=odds)
        return cut(str(answer), asked.max_tokens, dialect.stops(asked))
