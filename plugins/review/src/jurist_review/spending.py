"""What a run spent so far, by its ledger, read beside the run that writes it."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

from jurist.engine.ledger import Tally, charged_of, tallies_of
from jurist.records import NO_USAGE, Usage
from jurist.run_files import LEDGER


@dataclass(frozen=True)
class Spending:
    """What answered calls cost by component, and what failed tries cost, which answer nothing."""

    components: Mapping[str, Tally] = field(default_factory=dict)
    failed: Usage = NO_USAGE

    @property
    def usd(self) -> float:
        """Dollars in all: failed tries count in a run's budget too."""
        return sum(tally.usage.usd for tally in self.components.values()) + self.failed.usd


def read_spending(run: Path) -> Spending | None:
    """What the ledger of a run says: nothing where there is none yet, None where it cannot be read now."""
    ledger = run / LEDGER
    if not ledger.is_file():
        return Spending()
    try:
        with closing(
            sqlite3.connect(f"{ledger.absolute().as_uri()}?mode=ro", uri=True, timeout=1)
        ) as reading:
            return Spending(tallies_of(reading), charged_of(reading))
    except sqlite3.Error:
        return None
