"""Whose word a cascade takes where none of its judges is sure: the last one's, the mean, or the surest one's.

    python benchmarks/unsure.py [--data FOLDER]

On the verdicts of ``savings.py``: PRD, and LLMBar with soft labels of all ways of prompting. Pairs of judges
and whole juries in both presentation orders; every fifth item says who is better, the others are measured on.
"""

from __future__ import annotations

import argparse
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import savings
from savings import (
    EVERY,
    Credit,
    Item,
    best_first,
    cascade,
    half_for_ties,
    llmbar,
    pooled,
    prd,
    three_classes,
)

from jurist.constitution import Principle
from jurist.judges import Cascade
from jurist.judges.combined import mean_of, silence_of, word_of
from jurist.judges.orders import BothOrders, is_sure
from jurist.records import Comparison, JudgeOutcome, Judgment


class Last(Cascade):
    """Takes the word of the judge it asked last."""

    async def judge(self, comparison: Comparison, principles: Sequence[Principle]) -> JudgeOutcome:
        said: list[JudgeOutcome] = []
        for judge in self.judges.values():
            outcome = await judge.judge(comparison, principles)
            said.append(outcome)
            if isinstance(outcome, Judgment) and is_sure(outcome.preference, self.options.sure):
                return word_of(said, len(said) - 1)
        return self.unsure(said) if isinstance(said[-1], Judgment) else silence_of(said)

    def unsure(self, said: Sequence[JudgeOutcome]) -> JudgeOutcome:
        return word_of(said, len(said) - 1)


class Mean(Last):
    """Takes the mean."""

    def unsure(self, said: Sequence[JudgeOutcome]) -> JudgeOutcome:
        return mean_of(said)


def rows(name: str, items: Sequence[Item], credit: Credit, sures: Sequence[float]) -> Iterator[str]:
    """A line for each cascade."""
    ranked = best_first(items[::EVERY], credit)
    rest = [item for number, item in enumerate(items) if number % EVERY]
    cascades = {
        "worst, best": [ranked[-1], ranked[0]],
        "second, best": [ranked[1], ranked[0]],
        "best, second": ranked[:2],
        "all, worst first": ranked[::-1],
        "all, best first": ranked,
    }
    for title, names in cascades.items():
        for sure in sures:
            savings.SURE = sure
            ways = []
            for kind in (Last, Mean, Cascade):
                savings.Cascade = kind  # type: ignore[misc]
                ways.append(f"{100 * cascade(rest, names, BothOrders, credit).accuracy:.1f}")
            yield f"| {name} | {title} | {sure:g} | {' | '.join(ways)} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = os.environ.get("JURIST_DATA") or Path(__file__).parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(default))
    data = parser.parse_args().data
    print("| verdicts | judges | sure | last | mean | surest |")
    print("|---|---|---|---|---|---|")
    for name, items in prd(data / "prd"):
        print("\n".join(rows(name, items, three_classes, (0.8,))))
    soft = pooled([items for _, items in llmbar(data / "llmbar")])
    print("\n".join(rows("LLMBar, soft labels", soft, half_for_ties, (0.7, 0.8, 0.9))))


if __name__ == "__main__":
    main()
