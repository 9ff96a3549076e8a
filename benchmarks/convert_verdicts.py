"""Public data sets with recorded verdicts, as labelled items for ``jurist validate``.

    python benchmarks/convert_verdicts.py SETS OUT [--only llmbar prd pandalm]

SETS is a folder with ``llmbar``, ``prd`` and ``pandalm`` in it; docs/validation.md says where they come
from, and which of their published numbers come out. OUT gets a file for each set and way of asking:

    llmbar-Vanilla.jsonl …      419 pairs by 6 judges in both orders; one file for each prompt
    llmbar-casestudy-….jsonl    the case studies, likewise; llmbar-processed-….jsonl, the sets of others
    prd.jsonl                   800 pairs by 5 judges in both orders, with ties
    prd-weights.json            the weights that the judges give each other (peer rank)
    pandalm.jsonl               999 pairs by 2 judges in one order, with ties
    pandalm-people.jsonl        the same pairs by the three people whose majority is the label
"""

from __future__ import annotations

import argparse
import gzip
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path
from statistics import fmean
from typing import Any

Row = dict[str, Any]

LLMBAR_VERDICTS = {"1": "A", "2": "B"}
PRD_VERDICTS = {1: "A", 2: "B", 3: "tie"}
PRD_POINTS = {"A": 1.0, "B": 0.0, "tie": 0.5}
PRD_ROUNDS = 5
PANDALM_VERDICTS = {"0": "tie", "Tie": "tie", "1": "A", "2": "B"}


# --- LLMBar ------------------------------------------------------------------------------------------


def convert_llmbar(source: Path, target: Path) -> None:
    """One file for each group of sets and each prompt, with all its judges; the sets are tags."""
    runs: dict[tuple[str, str], dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    with gzip.open(source / "verdicts.json.gz", "rt", encoding="utf-8") as file:
        for run in json.load(file):
            dataset = run["dataset"].replace("LLMEval^2", "LLMEval_2")
            runs[dataset.split("/")[0].lower(), run["strategy"]][dataset].append(run)
    for (group, strategy), by_dataset in runs.items():
        name = f"llmbar-{strategy}" if group == "llmbar" else f"llmbar-{group}-{strategy}"
        rows = [row for dataset, found in by_dataset.items() for row in llmbar_rows(source, dataset, found)]
        write(target / f"{name}.jsonl", rows)


def llmbar_rows(source: Path, dataset: str, runs: list[Row]) -> Iterator[Row]:
    pairs = json.loads((source / "Dataset" / dataset / "dataset.json").read_text(encoding="utf-8"))
    for number, pair in enumerate(pairs):
        yield {
            "item": f"{dataset}/{number}",
            "label": LLMBAR_VERDICTS[str(pair["label"])],
            "tags": [dataset.rpartition("/")[2]],
            "prompt": pair["input"],
            "response_a": pair["output_1"],
            "response_b": pair["output_2"],
            "votes": [
                vote(run["judge"], order, LLMBAR_VERDICTS.get(run[key][number]))
                for run, (order, key) in product(runs, (("ab", "order1"), ("ba", "order2")))
            ],
        }


# --- PRD ---------------------------------------------------------------------------------------------


def convert_prd(source: Path, target: Path) -> None:
    """The pairs that people voted on, A first as people saw them, and the judges' peer-rank weights."""
    ratings = read_lines(source / "ratings.jsonl")
    people: dict[tuple[int, str, str], list[float]] = defaultdict(list)
    said: dict[tuple[str, int, str, str], str] = {}
    for rating in ratings:
        pair = (rating["q"], rating["a"], rating["b"])
        if rating["reviewer"] == "human":
            people[pair].append(PRD_POINTS[PRD_VERDICTS[rating["score"]]])
        else:
            said[rating["reviewer"], *pair] = PRD_VERDICTS[rating["score"]]
    judges = sorted({reviewer for reviewer, *_ in said})
    questions = {
        row["question_id"]: row["text"] for row in read_lines(source / "prompts" / "vicuna_questions.jsonl")
    }
    answers = {
        (row["question_id"], judge): row["text"]
        for judge in judges
        for row in read_lines(source / "generations" / f"answer_{judge}.jsonl")
    }
    swapped = {"A": "B", "B": "A", "tie": "tie"}
    rows = [
        {
            "item": f"{question}/{a}/{b}",
            "label": majority(points),
            "prompt": questions[question],
            "response_a": answers[question, a],
            "response_b": answers[question, b],
            "votes": [
                one
                for judge in judges
                for one in (
                    vote(judge, "ab", said[judge, question, a, b]),
                    vote(judge, "ba", swapped[said[judge, question, b, a]]),
                )
            ],
        }
        for (question, a, b), points in people.items()
    ]
    write(target / "prd.jsonl", rows)
    weights = peer_rank_weights(said)
    (target / "prd-weights.json").write_text(json.dumps(weights, indent=2) + "\n", encoding="utf-8")


def majority(points: list[float]) -> str:
    """The side with more votes than the other; a tie otherwise, as PRD counts people."""
    mean = fmean(points)
    return "tie" if mean == 0.5 else "A" if mean > 0.5 else "B"


def peer_rank_weights(said: dict[tuple[str, int, str, str], str]) -> dict[str, float]:
    """The weights that judges give each other (PRD, arXiv 2307.02762, section 3.1).

    A judge weighs as much as its answers win: the win rates of the answers, counted with the weights of the
    round before, are scaled from 0 (the worst) to 1 and then to a sum of 1.
    """
    models = sorted({judge for judge, *_ in said})
    weights = dict.fromkeys(models, 1.0)
    for _ in range(PRD_ROUNDS):
        won: Counter[str] = Counter()
        for (judge, _, a, b), verdict in said.items():
            won[a] += PRD_POINTS[verdict] * weights[judge]
            won[b] += (1 - PRD_POINTS[verdict]) * weights[judge]
        worst, best = min(won.values()), max(won.values())  # all models answered equally often
        scaled = {model: (won[model] - worst) / (best - worst) for model in models}
        weights = {model: scaled[model] / sum(scaled.values()) for model in models}
    return weights


# --- PandaLM -----------------------------------------------------------------------------------------


def convert_pandalm(source: Path, target: Path) -> None:
    """The judges, and the people whose majority is the label; response 1 was always shown first."""
    pairs = json.loads((source / "testset-v1.json").read_text(encoding="utf-8"))
    judges = {
        "gpt-3.5-turbo": ("gpt-3.5-turbo-testset-v1.json", "gpt_result"),
        "pandalm-7b": ("pandalm-7b-testset-v1.json", "pandalm_result"),
    }
    said = {
        judge: {row["idx"]: str(row[key]) for row in json.loads((source / name).read_text(encoding="utf-8"))}
        for judge, (name, key) in judges.items()
    }
    write(
        target / "pandalm.jsonl",
        [
            pandalm_row(pair, {judge: verdicts[pair["idx"]] for judge, verdicts in said.items()})
            for pair in pairs
        ],
    )
    write(target / "pandalm-people.jsonl", [pandalm_row(pair, annotators(pair)) for pair in pairs])


def annotators(pair: Row) -> dict[str, str]:
    return {name: str(pair[name]) for name in ("annotator1", "annotator2", "annotator3")}


def pandalm_row(pair: Row, said: dict[str, str]) -> Row:
    # Six responses are the bare word true, which the file has as a boolean.
    label, _ = Counter(annotators(pair).values()).most_common(1)[0]  # two of the three always agree
    return {
        "item": str(pair["idx"]),
        "label": PANDALM_VERDICTS[label],
        "tags": [pair["motivation_app"]],
        "prompt": "\n\n".join(filter(None, (pair["instruction"], pair["input"]))),
        "response_a": str(pair["response1"]),
        "response_b": str(pair["response2"]),
        "votes": [vote(judge, "ab", PANDALM_VERDICTS.get(verdict)) for judge, verdict in said.items()],
    }


# --- all of them -------------------------------------------------------------------------------------


def vote(judge: str, order: str, verdict: str | None) -> Row:
    found: Row = {"judge": judge, "order": order, "verdict": verdict}
    return found if verdict else {**found, "reason": "unparsed"}


def read_lines(path: Path) -> list[Row]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def write(path: Path, rows: list[Row]) -> None:
    lines = (json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
    path.write_text("".join(lines), encoding="utf-8")


SETS: dict[str, Callable[[Path, Path], None]] = {
    "llmbar": convert_llmbar,
    "prd": convert_prd,
    "pandalm": convert_pandalm,
}


def main() -> None:
    parser = argparse.ArgumentParser(description="Public data sets as labelled items.")
    parser.add_argument("source", type=Path, help="the folder that holds the sets")
    parser.add_argument("target", type=Path, help="the folder to write to")
    parser.add_argument("--only", nargs="+", choices=list(SETS), default=list(SETS))
    given = parser.parse_args()
    given.target.mkdir(parents=True, exist_ok=True)
    for name in given.only:
        SETS[name](given.source / name, given.target)
    for path in sorted(given.target.iterdir()):
        print(path)


if __name__ == "__main__":
    main()
