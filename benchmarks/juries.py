"""What a learnt jury is worth: recorded verdicts, 20% of the items to learn from, measured on the rest.

    python benchmarks/convert_verdicts.py SETS VERDICTS
    python benchmarks/juries.py VERDICTS/prd.jsonl VERDICTS/llmbar-*.jsonl [--splits 20] [--sure 0.75]

Every number is a mean over random splits. At most 500 items are learnt from. The best judge is the one that
is best on the very items that are measured, so nobody could have chosen it beforehand. The majority is that
of all verdicts.
"""

from __future__ import annotations

import argparse
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import fmean

from jurist.aggregators import Chain
from jurist.contracts import Aggregator
from jurist.records import JudgeOutcome, Judgment
from jurist.validation.labelled import LabelledItem, load_labelled
from jurist_calibrate.calibrated import CalibratedJury, CalibratedJuryOptions
from jurist_calibrate.dawid_skene import DawidSkene, DawidSkeneOptions

BINS = 10


@dataclass
class Measured:
    """On the items held out: accuracy, calibration error, and accuracy of the surest 80%.

    The calibration error has ten bins of confidence from 0 to 1, of which a choice of sides fills five;
    ``fine_error`` has ten from 0.5 to 1. So few items have an error of about 0.03 and 0.04 by chance alone.
    """

    accuracy: float
    error: float
    fine_error: float
    surest: float


def measure(aggregator: Aggregator, items: Sequence[LabelledItem], ties: bool) -> Measured:
    """What ``aggregator`` makes of the items; see :func:`worth`."""
    given = []
    for item in items:
        decided = aggregator.decide(item.comparison, item.outcomes).probability
        probability = 0.5 if decided is None else decided
        given.append((max(probability, 1 - probability), worth(probability, item, ties)))
    surest = sorted(given, reverse=True, key=lambda each: each[0])[: round(0.8 * len(given))]
    return Measured(
        accuracy=fmean(right for _, right in given),
        error=calibration_error(given, lowest=0.0),
        fine_error=calibration_error(given, lowest=0.5),
        surest=fmean(right for _, right in surest),
    )


def calibration_error(given: Sequence[tuple[float, float]], lowest: float) -> float:
    """The expected calibration error, with ten bins of confidence from ``lowest`` to 1."""
    bins: list[list[float]] = [[] for _ in range(BINS)]
    for confidence, right in given:
        bins[min(int(BINS * (confidence - lowest) / (1 - lowest)), BINS - 1)].append(confidence - right)
    return sum(abs(sum(gaps)) for gaps in bins) / len(given)


def worth(probability: float, item: LabelledItem, ties: bool) -> float:
    """1 for the right label, 0 for a wrong one; half for none, where no label can be a tie (no ``ties``)."""
    if probability == 0.5 and not ties:
        return 0.5
    given = "tie" if probability == 0.5 else "A" if probability > 0.5 else "B"
    return float(given == item.label)


def best_judge(items: Sequence[LabelledItem], ties: bool) -> float:
    """The highest accuracy of a judge, by the mean of its orders and by the mean over its orders."""
    judges = sorted({outcome.source for item in items for outcome in item.outcomes})

    ways = (lambda said: [said], lambda said: said.parts or [said])
    return max(accuracy_of(judge, items, ties, way) for judge in judges for way in ways)


def accuracy_of(
    judge: str,
    items: Sequence[LabelledItem],
    ties: bool,
    parts: Callable[[JudgeOutcome], Sequence[JudgeOutcome]],
) -> float:
    """The accuracy of a judge by the ``parts`` of what it said of each item."""
    return fmean(
        fmean(worth(part.preference, item, ties) if isinstance(part, Judgment) else 0 for part in parts(said))
        for item in items
        for said in item.outcomes
        if said.source == judge
    )


def majority(items: Sequence[LabelledItem], ties: bool) -> float:
    """The accuracy of the side with more of all verdicts, in whatever order they were given."""

    def probability(item: LabelledItem) -> float:
        cast = [vote.preference for vote in item.votes if vote.preference is not None]
        balance = sum((preference > 0.5) - (preference < 0.5) for preference in cast)
        return 0.5 + (balance > 0) / 2 - (balance < 0) / 2

    return fmean(worth(probability(item), item, ties) for item in items)


def in_turn(
    learning: Sequence[LabelledItem], held_out: Sequence[LabelledItem], ties: bool, sure: float
) -> tuple[float, float]:
    """Accuracy where judges are asked until the jury is ``sure``, and the share of them that it takes.

    Those that are right most often on the items learnt from come first.
    """
    jury = CalibratedJury()
    jury.fit(learning)
    chain = Chain([_asking_until(sure, learning), jury])
    judges = sorted(
        {outcome.source for item in learning for outcome in item.outcomes},
        key=lambda judge: -accuracy_of(judge, learning, ties, lambda said: [said]),
    )
    rights, asked = [], []
    for item in held_out:
        said: list[JudgeOutcome] = []
        for judge in judges:
            said += [outcome for outcome in item.outcomes if outcome.source == judge]
            if chain.is_enough(item.comparison, said):
                break
        asked.append((judges.index(judge) + 1) / len(judges))
        probability = chain.decide(item.comparison, said).probability
        rights.append(worth(0.5 if probability is None else probability, item, ties))
    return fmean(rights), fmean(asked)


def _asking_until(sure: float, learning: Sequence[LabelledItem]) -> CalibratedJury:
    jury = CalibratedJury(CalibratedJuryOptions(min_accuracy=sure))
    jury.fit(learning)
    return jury


def split(items: Sequence[LabelledItem], seed: int) -> tuple[list[LabelledItem], list[LabelledItem]]:
    """A fifth of the items, at most 500, to learn from, and the others."""
    shuffled = random.Random(seed).sample(list(items), len(items))
    count = min(round(len(items) / 5), 500)
    return shuffled[:count], shuffled[count:]


def has_ties(items: Sequence[LabelledItem]) -> bool:
    """Whether a label can be a tie."""
    return any(item.label == "tie" for item in items)


def show(name: str, items: Sequence[LabelledItem], splits: int, blind: bool, sure: float) -> None:
    """One line of the table."""
    ties = has_ties(items)
    rows: list[list[float]] = []
    for seed in range(splits):
        learning, held_out = split(items, seed)
        jury = CalibratedJury()
        started = time.perf_counter()
        jury.fit(learning)
        seconds = time.perf_counter() - started
        confusions = [
            DawidSkene(DawidSkeneOptions(use_labels=known)) for known in ([True, False] if blind else [True])
        ]
        for each in confusions:
            each.fit(learning)
        learnt = measure(jury, held_out, ties)
        rows.append(
            [
                best_judge(held_out, ties),
                majority(held_out, ties),
                *(measure(each, held_out, ties).accuracy for each in confusions),
                learnt.accuracy,
                learnt.surest,
                *in_turn(learning, held_out, ties, sure),
                learnt.error,
                learnt.fine_error,
                seconds,
            ]
        )
    *shares, error, fine, seconds = (fmean(column) for column in zip(*rows, strict=True))
    print(
        "|",
        name,
        "|",
        *(f"{share:.1%} |" for share in shares),
        f"{error:.3f} | {fine:.3f} | {seconds:.2f} |",
        flush=True,
    )


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description="What a learnt jury is worth.")
    parser.add_argument("files", type=Path, nargs="+", help="labelled items with votes")
    parser.add_argument("--splits", type=int, default=20)
    parser.add_argument(
        "--sure",
        type=float,
        default=0.75,
        help="in turn, judges are asked until the jury expects this accuracy",
    )
    parser.add_argument("--blind", action="store_true", help="Dawid-Skene from the votes alone too; slow")
    given = parser.parse_args()
    columns = ["set", "best judge", "majority", "Dawid-Skene", *(["from votes alone"] if given.blind else [])]
    columns += ["calibrated", "its surest 80%", "in turn", "judges asked", "its ECE", "finer", "s to fit"]
    print("|", " | ".join(columns), "|")
    print("|---" * len(columns) + "|")
    for path in given.files:
        show(path.stem, load_labelled(path), given.splits, given.blind, given.sure)


if __name__ == "__main__":
    main()
