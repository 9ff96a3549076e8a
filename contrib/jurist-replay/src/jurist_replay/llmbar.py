"""Turn LLMBar and its recorded judges into a file of recorded verdicts.

    python -m jurist_replay.llmbar LLMBar OUT.jsonl [--sets LLMBar]

The first argument is a checkout of github.com/princeton-nlp/LLMBar, whose judges are on record in
``Dataset/<set>/evaluators/<judge>/<strategy>/result.json``; or a folder with ``Dataset`` and, in one file
``verdicts.json.gz``, a list of such runs.
"""

from __future__ import annotations

import argparse
import gzip
import json
import sys
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal, NamedTuple

from jurist.errors import JuristError, UsageError
from jurist.files.jsonl import write_lines
from jurist_replay.recording import Item, Verdict, Vote

VERDICTS: dict[str, Verdict] = {"1": "A", "2": "B"}
ORDERS: tuple[tuple[Literal["ab", "ba"], str], ...] = (("ab", "swap = False"), ("ba", "swap = True"))


class Run(NamedTuple):
    """One judge on one set: for each order, the output it preferred of every item, by its own number."""

    dataset: str
    judge: str
    winners: dict[Literal["ab", "ba"], list[str]]


def convert(source: Path, target: Path, sets: str = "LLMBar") -> int:
    """Write the items of the sets whose names begin with ``sets``, with all votes; returns how many.

    Raises:
        UsageError: ``source`` is not LLMBar, or a judge's record does not fit its set.
    """
    runs = defaultdict(list)
    for run in _runs(source):
        runs[run.dataset].append(run)
    count = 0
    with write_lines(target) as lines:
        for path in sorted((source / "Dataset").rglob("dataset.json")):
            name = _name(path.parent.relative_to(source / "Dataset"))
            if name.startswith(sets):
                for item in _items(name, _read(path), runs[name]):
                    lines.write(item.to_json())
                    count += 1
        if not count:
            raise UsageError(
                f"{source} has no sets whose names begin with '{sets}'",
                hint="give the folder that has Dataset/LLMBar in it",
            )
    return count


def _items(name: str, rows: list[dict[str, Any]], runs: Sequence[Run]) -> Iterator[Item]:
    for run in runs:
        if any(len(winners) != len(rows) for winners in run.winners.values()):
            raise UsageError(f"{name} has {len(rows)} items, the record of '{run.judge}' has not")
    for number, row in enumerate(rows):
        yield Item(
            item=f"{name}/{number}",
            label=VERDICTS[str(row["label"])],
            tags=(name.rpartition("/")[2],),
            prompt=row["input"],
            response_a=row["output_1"],
            response_b=row["output_2"],
            votes=tuple(
                Vote(judge=run.judge, order=order, verdict=VERDICTS.get(winners[number]))
                for run in runs
                for order, winners in run.winners.items()
            ),
        )


def _runs(source: Path) -> Iterator[Run]:
    gathered = source / "verdicts.json.gz"
    if gathered.exists():
        for run in _read(gathered):
            judge = f"{run['judge']}/{run['strategy']}"
            yield Run(_name(Path(run["dataset"])), judge, {"ab": run["order1"], "ba": run["order2"]})
        return
    for path in sorted((source / "Dataset").rglob("evaluators/*/*/result.json")):
        judge = "/".join(path.parts[-3:-1])
        results = [row["results"][0] for row in _read(path)]
        winners = {order: [str(result[key]["winner"]) for result in results] for order, key in ORDERS}
        yield Run(_name(path.parents[3].relative_to(source / "Dataset")), judge, winners)


def _name(path: Path) -> str:
    return path.as_posix().replace("LLMEval^2", "LLMEval_2")


def _read(path: Path) -> Any:
    content = path.read_bytes()
    return json.loads(gzip.decompress(content) if path.suffix == ".gz" else content)


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit code."""
    parser = argparse.ArgumentParser(prog="python -m jurist_replay.llmbar", description=convert.__doc__)
    parser.add_argument("source", type=Path, help="the LLMBar repository")
    parser.add_argument("target", type=Path, help="the JSONL file to write")
    parser.add_argument("--sets", default="LLMBar", help="take sets whose names begin so (default: LLMBar)")
    given = parser.parse_args(arguments)
    try:
        count = convert(given.source, given.target, given.sets)
    except JuristError as error:
        sys.stderr.write(f"error: {error}\n")
        return error.exit_code
    sys.stdout.write(f"{count} items → {given.target}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
