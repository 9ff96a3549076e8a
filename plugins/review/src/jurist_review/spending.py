"""What a run spent so far, by its ledger, read beside the run that writes it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

from jurist.engine.ledger_stats import charged_of
from jurist.records import NO_USAGE, Usage
from jurist.run_files import LEDGER

_SPENT = """
SELECT component, COUNT(*), SUM(prompt_tokens), SUM(completion_tokens), SUM(usd), SUM(seconds)
FROM replies GROUP BY component ORDER BY component
"""


@dataclass(frozen=True)
class Spent:
    """What the answered calls of one component cost."""

    component: str
    calls: int
    usage: Usage


@dataclass(frozen=True)
class Spending:
    """What answered calls cost by component, and what failed tries cost, which answer nothing."""

    components: tuple[Spent, ...] = ()
    failed: Usage = NO_USAGE

    @property
    def usd(self) -> float:
        """Dollars in all: failed tries count in a run's budget too."""
        return sum(each.usage.usd for each in self.components) + self.failed.usd


def read_spending(run: Path) -> Spending | None:
    """What the ledger of a run says: nothing where there is none yet, None where it cannot be read now."""
    ledger = run / LEDGER
    if not ledger.is_file():
        return Spending()
    try:
        with closing(
            sqlite3.connect(f"{ledger.absolute().as_uri()}?mode=ro", uri=True, timeout=1)
        ) as reading:
            return Spending(
                tuple(
                    Spent(
                        component,
                        calls,
                        Usage(prompt_tokens=prompt, completion_tokens=completion, usd=usd, seconds=seconds),
                    )
                    for component, calls, prompt, completion, usd, seconds in reading.execute(_SPENT)
                ),
                charged_of(reading),
            )
    except sqlite3.Error:
        return None
