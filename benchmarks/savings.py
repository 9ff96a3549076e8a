"""What cascades and adaptive orders save, replayed on recorded verdicts of real judges in both orders.

    python benchmarks/savings.py [--data FOLDER]

The data is public and no part of the repository: LLMBar (arXiv 2310.07641, ten ways of prompting, five or six
judges) and PRD (arXiv 2307.02762, five judges, ties). The folder is JURIST_DATA by default.

The full jury asks every judge in both orders and takes the majority, or the mean. A cascade asks them one
after another, the best first by every fifth item; accuracies and calls are those on the other items. Ties
count half on LLMBar, which has none, and are a class of their own on PRD.

Adaptive orders need soft labels, and no log-probabilities are on record. So the verdicts of a judge with all
of LLMBar's ways of prompting, in one order, are taken for samples of it: (k + 1) / (n + 2) is its soft label.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import fmean

from jurist.aggregators import ConfidenceThreshold, MajorityVote
from jurist.constitution import Principle
from jurist.contracts import Aggregator, Judge
from jurist.judges import Cascade
from jurist.judges.orders import AdaptiveOrders, BothOrders, InOrders
from jurist.records import Abstention, Comparison, JudgeOutcome, Judgment, Prompt, Response

LLMBAR = ("Natural", "Neighbor", "GPTInst", "GPTOut", "Manual")
LEAST_JUDGES = 5
SIDES = {"1": 1.0, "2": 0.0, "3": 0.5}
SURE = 0.8
EVERY = 5
"""Every fifth item says which judge is the best; it is not measured on."""


@dataclass(frozen=True)
class Item:
    """A comparison, its label, and P(A is better) by each judge in the orders A-B and B-A."""

    comparison: Comparison
    label: float
    verdicts: Mapping[str, tuple[float | None, float | None]]


class Recorded(Judge):
    """Says what a judge is on record as having said, and counts how often it is asked."""

    def __init__(self, name: str, items: Sequence[Item]) -> None:
        super().__init__()
        self.name = name
        self.calls = 0
        self._said: dict[str, float | None] = {}
        for item in items:
            straight, swapped = item.verdicts[name]
            self._said[item.comparison.id] = straight
            self._said[item.comparison.swapped().id] = None if swapped is None else 1 - swapped

    async def judge(self, comparison: Comparison, principles: Sequence[Principle]) -> JudgeOutcome:
        self.calls += 1
        said = self._said[comparison.id]
        if said is None:
            return Abstention(reason="unparsed", source=self.name)
        return Judgment(preference=said, source=self.name, method="recorded")


@dataclass(frozen=True)
class Measured:
    """How often a way of judging is right, and how many calls it makes per item."""

    accuracy: float
    calls: float


Credit = Callable[[float | None, float], float]
"""How right a preference is (None where there is none), given the label."""


def half_for_ties(preference: float | None, label: float) -> float:
    if preference is None or abs(preference - 0.5) < 1e-9:
        return 0.5
    return float((preference > 0.5) == (label > 0.5))


def three_classes(preference: float | None, label: float) -> float:
    lean = 0.0 if preference is None else preference - 0.5
    side = 0 if abs(lean) < 1e-9 else 1 if lean > 0 else -1
    return float(side == (label > 0.5) - (label < 0.5))


def llmbar(folder: Path) -> Iterator[tuple[str, list[Item]]]:
    """The 419 items by each strategy that enough judges were recorded with."""
    with gzip.open(folder / "verdicts.json.gz", "rt", encoding="utf-8") as file:
        runs = [run for run in json.load(file) if run["dataset"].split("/")[-1] in LLMBAR]
    for strategy in sorted({run["strategy"] for run in runs}):
        mine = [run for run in runs if run["strategy"] == strategy]
        names = sorted({run["judge"] for run in mine})
        whole = [name for name in names if sum(run["judge"] == name for run in mine) == len(LLMBAR)]
        if len(whole) >= LEAST_JUDGES:
            yield f"LLMBar {strategy}", [item for subset in LLMBAR for item in _subset(mine, whole, subset)]


def _subset(runs: Sequence[Mapping[str, object]], judges: Sequence[str], subset: str) -> list[Item]:
    chosen = {str(run["judge"]): run for run in runs if str(run["dataset"]).endswith(subset)}
    labels = chosen[judges[0]]["labels"]
    assert isinstance(labels, list)

    def verdicts(number: int) -> dict[str, tuple[float | None, float | None]]:
        return {
            name: (
                SIDES.get(str(chosen[name]["order1"][number])),  # type: ignore[index]
                SIDES.get(str(chosen[name]["order2"][number])),  # type: ignore[index]
            )
            for name in judges
        }

    return [
        Item(_pair(f"{subset} {number}"), SIDES[str(label)], verdicts(number))
        for number, label in enumerate(labels)
    ]


def pooled(strategies: Sequence[Sequence[Item]]) -> list[Item]:
    """The items with one soft label of each judge, from its verdicts in all strategies."""
    return [
        Item(
            same[0].comparison,
            same[0].label,
            {
                name: (
                    _share([item.verdicts[name][0] for item in same]),
                    _share([item.verdicts[name][1] for item in same]),
                )
                for name in set.intersection(*(set(item.verdicts) for item in same))
            },
        )
        for same in zip(*strategies, strict=True)
    ]


def _share(verdicts: Sequence[float | None]) -> float:
    cast = [verdict for verdict in verdicts if verdict is not None]
    return (sum(cast) + 1) / (len(cast) + 2)


def prd(folder: Path) -> Iterator[tuple[str, list[Item]]]:
    """The 800 pairs of answers that people compared; the label is the side that more of them prefer."""
    rows = [json.loads(line) for line in (folder / "ratings.jsonl").read_text("utf-8").splitlines()]
    said = {(r["reviewer"], r["q"], r["a"], r["b"]): SIDES[str(r["score"])] for r in rows}
    judges = sorted({row["reviewer"] for row in rows} - {"human"})
    people: dict[tuple[int, str, str], list[float]] = {}
    for row in rows:
        if row["reviewer"] == "human":
            people.setdefault((row["q"], row["a"], row["b"]), []).append(SIDES[str(row["score"])])
    yield (
        "PRD Vicuna80",
        [
            Item(
                _pair(f"{q} {a} {b}"),
                fmean(votes),
                {name: (said[name, q, a, b], 1 - said[name, q, b, a]) for name in judges},
            )
            for (q, a, b), votes in sorted(people.items())
        ],
    )


def _pair(name: str) -> Comparison:
    return Comparison(prompt=Prompt.of(name), response_a=Response(text="A"), response_b=Response(text="B"))


def jury(
    items: Sequence[Item], names: Sequence[str], aggregator: Aggregator, orders: InOrders, credit: Credit
) -> Measured:
    """All judges about every item."""
    judges = [Recorded(name, items) for name in names]
    shown = [orders(judge) for judge in judges]

    async def preference(comparison: Comparison) -> float | None:
        said = [await judge.judge(comparison, ()) for judge in shown]
        return aggregator.decide(comparison, said).probability

    return _measured(items, judges, preference, credit)


def cascade(items: Sequence[Item], names: Sequence[str], orders: InOrders, credit: Credit) -> Measured:
    """One judge after another until one is sure."""
    judges = [Recorded(name, items) for name in names]
    places = {f"judges.{number}": orders(judge) for number, judge in enumerate(judges)}
    chain = Cascade(Cascade.Options(judges=tuple(names), sure=SURE), places)

    async def preference(comparison: Comparison) -> float | None:
        outcome = await chain.judge(comparison, ())
        return outcome.preference if isinstance(outcome, Judgment) else None

    return _measured(items, judges, preference, credit)


def _measured(
    items: Sequence[Item],
    judges: Sequence[Recorded],
    preference: Callable[[Comparison], object],
    credit: Credit,
) -> Measured:
    async def all_of_them() -> list[float]:
        return [credit(await preference(item.comparison), item.label) for item in items]  # type: ignore[misc]

    right = asyncio.run(all_of_them())
    return Measured(fmean(right), sum(judge.calls for judge in judges) / len(items))


def best_first(items: Sequence[Item], credit: Credit) -> list[str]:
    """The judges by their accuracy alone, in both orders."""

    def accuracy(name: str) -> float:
        return jury(items, [name], _mean(), BothOrders, credit).accuracy

    return sorted(items[0].verdicts, key=accuracy, reverse=True)


def _mean() -> Aggregator:
    return ConfidenceThreshold(ConfidenceThreshold.Options(threshold=0.5))


def row(name: str, items: Sequence[Item], credit: Credit) -> str:
    """One line of the table."""
    ranked = best_first(items[::EVERY], credit)
    rest = [item for number, item in enumerate(items) if number % EVERY]
    measure = partial(cascade, rest, orders=BothOrders, credit=credit)
    ways = [
        jury(rest, ranked, MajorityVote(), BothOrders, credit),
        jury(rest, ranked, _mean(), BothOrders, credit),
        jury(rest, ranked, _mean(), AdaptiveOrders, credit),
        jury(rest, ranked[:1], _mean(), BothOrders, credit),
        measure(ranked),
        measure(ranked[::-1]),
    ]
    full = max(ways[0].accuracy, ways[1].accuracy)
    chosen = ways[4]
    reached = chosen.accuracy >= full - 0.01 and chosen.calls <= 0.6 * ways[0].calls
    cells = [f"{100 * way.accuracy:.1f} ({100 * way.calls / ways[0].calls:.0f}%)" for way in ways]
    return f"| {name} | {len(ranked)} | {' | '.join(cells)} | {'yes' if reached else 'no'} |"


def adaptive_row(title: str, both: Measured, adaptive: Measured) -> str:
    """One line of the table of adaptive orders."""
    reached = adaptive.accuracy >= both.accuracy - 0.01
    cells = [f"{100 * both.accuracy:.1f}", f"{100 * adaptive.accuracy:.1f}"]
    share = f"{100 * adaptive.calls / both.calls:.0f}%"
    return f"| {title} | {' | '.join(cells)} | {share} | {'yes' if reached else 'no'} |"


def adaptive_table(items: Sequence[Item]) -> Iterator[str]:
    """Adaptive orders against both, of each judge, of a jury of all, and within a cascade of all."""
    yield "| LLMBar, soft labels | both orders | adaptive | share of the calls | within 1 point |"
    yield "|---|---|---|---|---|"
    names = best_first(items, half_for_ties)
    for chosen in (*([name] for name in names), names):
        both, adaptive = (
            jury(items, chosen, _mean(), orders, half_for_ties) for orders in (BothOrders, AdaptiveOrders)
        )
        yield adaptive_row(chosen[0] if len(chosen) == 1 else "jury of all, mean", both, adaptive)
    chain = cascade(items, names, AdaptiveOrders, half_for_ties)
    yield adaptive_row("cascade of all, against that jury", both, chain)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    default = os.environ.get("JURIST_DATA") or Path(__file__).parents[2] / "shared" / "data"
    parser.add_argument("--data", type=Path, default=Path(default))
    data = parser.parse_args().data
    print("Accuracy in percent, and the share of the full jury's calls.")
    print()
    print(
        "| verdicts | judges | majority | mean | mean, adaptive | best alone | cascade, best first "
        "| cascade, worst first | best first within 1 point at 60% |"
    )
    print("|---|---|---|---|---|---|---|---|---|")
    strategies = list(llmbar(data / "llmbar"))
    for name, items in strategies:
        print(row(name, items, half_for_ties))
    for name, items in prd(data / "prd"):
        print(row(name, items, three_classes))
    print()
    for line in adaptive_table(pooled([items for _, items in strategies])):
        print(line)


if __name__ == "__main__":
    main()
