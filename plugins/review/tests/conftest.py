"""A run directory as core writes it: real records, real file names, numbers that tests look for."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable, Iterable
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from jurist.recipe import Recipe
from jurist.records import (
    Abstention,
    Comparison,
    Critique,
    Decision,
    Failure,
    Finding,
    Judgment,
    Prompt,
    Record,
    Response,
    Score,
    Step,
    Trajectory,
    Usage,
)
from jurist.stage_records import Evaluated, Judged
from jurist_review.report import write_report

USAGE = {"prompt_tokens": 48_000, "completion_tokens": 6_100, "usd": 0.4321, "seconds": 83.0}


def trajectories() -> list[Trajectory]:
    """Thirty revised in one round, six satisfied at once, two left to the last round, one of each fault."""
    found = []
    for number in range(30):
        prompt = Prompt.of(f"What is the phone number of customer {number}?", tags=("privacy", "en"))
        first = Response(text=f"Of course, you fool: it is 555-01{number:02d}.", source="policy")
        revised = Response(text="I cannot share it, but the desk can help you.", source="policy")
        steps = (
            Step(
                round=1, principles=("privacy", "respect"), critique=_critique(True, True), revision=revised
            ),
            Step(round=2, principles=("privacy", "respect"), critique=_critique(False, False)),
        )
        found.append(Trajectory(prompt=prompt, response=first, steps=steps, ended="satisfied"))
    for number in range(6):
        step = Step(round=1, principles=("privacy", "respect"), critique=_critique(False, False))
        text = Response(text="The desk opens at nine.")
        prompt = Prompt.of(f"When does desk {number} open?")
        found.append(Trajectory(prompt=prompt, response=text, steps=(step,), ended="satisfied"))
    for number in range(2):
        text = Response(text="请别再问了，你真烦。")
        steps = tuple(
            Step(round=n, principles=("respect",), critique=_critique(False, True), revision=text)
            for n in (1, 2)
        )
        prompt = Prompt.of(f"第{number}个问题：几点开门？", tags=("zh",))
        found.append(Trajectory(prompt=prompt, response=text, steps=steps, ended="rounds"))
    unread = Step(round=1, principles=("privacy",), critique=Abstention(reason="unparsed", raw="hm"))
    failed = Failure(error="the connection was reset", retryable=True)
    found.append(
        Trajectory(prompt=Prompt.of("A"), response=Response(text="B"), steps=(unread,), ended="abstention")
    )
    found.append(Trajectory(prompt=Prompt.of("C"), response=failed, ended="failure"))
    return found


def _critique(privacy: bool, respect: bool) -> Critique:
    return Critique(
        source="critic",
        findings=(
            Finding(
                principle="privacy",
                satisfied=not privacy,
                explanation="It names a number." if privacy else "",
            ),
            Finding(principle="respect", satisfied=not respect, explanation="It insults." if respect else ""),
        ),
    )


def judged() -> list[Judged]:
    """Forty comparisons: three judges agree on most, flip on some, abstain, fail, tie."""
    random_numbers = random.Random(7)
    found = []
    for number in range(40):
        comparison = Comparison(
            prompt=Prompt.of(f"Please help me with request {number}."),
            response_a=Response(text=f"Gladly. Here is what to do about {number}."),
            response_b=Response(text="No."),
        )
        ab, ba = random_numbers.uniform(0.6, 0.95), random_numbers.uniform(0.3, 0.9)
        parts = (
            Judgment(preference=ab, order="ab", source="strict", rationale="A answers the question."),
            Judgment(preference=ba, order="ba", source="strict", rationale="B is curt."),
        )
        mean = (ab + ba) / 2
        outcomes = (
            Judgment(preference=mean, order="both", source="strict", parts=parts),
            Judgment(preference=0.8, source="lenient")
            if number % 5
            else Failure(source="lenient", error="429"),
            Judgment(preference=0.35, source="terse")
            if number % 4
            else Abstention(source="terse", reason="refused"),
        )
        decision = Decision(status="decided", probability=mean, aggregator="majority")
        if number % 10 == 9:
            decision = Decision(
                status="set_aside", reason="no_majority", detail="1 of 3", aggregator="majority"
            )
        found.append(Judged(comparison=comparison, outcomes=outcomes, decision=decision))
    return found


def evaluated() -> list[Evaluated]:
    """Three policies, twenty prompts, an oracle with four metrics."""
    found = []
    for policy, bad in (("base", 9), ("sft", 4), ("ppo", 1)):
        for number in range(20):
            violation = float(number < bad)
            score = Score(
                source="oracle",
                value=1 - 2 * violation,
                metrics={"violation": violation, "good": 1 - violation, "malformed": 0.0},
            )
            found.append(
                Evaluated(
                    policy=policy,
                    prompt=Prompt.of(f"Held-out question {number}?", metadata={"n": number}),
                    response=Response(text=f"{policy} answers question {number}."),
                    scores={"oracle": score},
                    log_ratio=None if policy == "base" else 0.25,
                )
            )
    return found


RECIPE: dict[str, Any] = {
    "name": "demo",
    "seed": 11,
    "note": "This shows that the pipeline works; it does not prove that Constitutional AI works.",
    "prompts": "prompts.jsonl",
    "policy": {"use": "hf", "model": "base"},
    "stages": [
        {"stage": "revise", "rounds": 2},
        {"stage": "train", "name": "sft", "trainer": "sft"},
        {"stage": "compare", "judges": ["strict", "lenient", "terse"]},
        {"stage": "evaluate", "policies": {"base": "base", "sft": "sft"}, "scorers": ["oracle"]},
    ],
}

SUMMARIES: dict[str, dict[str, Any]] = {
    "revise": {
        "prompts": 40,
        "revisions": 38,
        "ended": {"satisfied": 36, "rounds": 2, "abstention": 1, "failure": 1},
        "reasons": {"unparsed": 1, "failure: the connection was reset": 1},
        "critiques_by_round": {"1": 38, "2": 32},
        "violations_by_round": {"1": {"respect": 32, "privacy": 30}, "2": {"respect": 2}},
    },
    "sft": {"metrics": {"loss": 0.7312, "seconds": 12.5}},
    "compare": {
        "preferences": 36,
        "set_aside": 4,
        "responses": {"response": 39, "failure": 1},
        "comparisons": 40,
        "decisions": {"preferred": 36, "unpaired": 20, "no_majority": 4},
        "judges": {
            "strict": {
                "comparisons": 40, "asked": 80, "judgments": 80, "judgment": 40, "flips": 12, "votes": 36,
                "with_jury": 36,
            },
            "lenient": {
                "comparisons": 40, "asked": 40, "judgments": 32, "judgment": 32, "failures": 8, "failure": 8,
                "flips": 0, "votes": 30, "with_jury": 27,
            },
            "terse": {
                "comparisons": 40, "asked": 40, "judgments": 30, "judgment": 30, "abstentions": 10,
                "refused": 10, "flips": 0, "votes": 26, "with_jury": 0,
            },
        },
    },
    "evaluate": {
        "prompts": 20,
        "policies": {
            "base": {
                "oracle.violation": {"mean": 0.45, "low": 0.2582, "high": 0.6579, "n": 20},
                "length": {"mean": 27.5, "low": 27.2, "high": 27.8, "n": 20},
            },
            "ppo": {
                "oracle.violation": {"mean": 0.05, "low": 0.0089, "high": 0.2361, "n": 20},
                "length": {"mean": 26.5, "low": 26.2, "high": 26.8, "n": 20},
                "kl": {"mean": 0.25, "low": -math.inf, "high": math.inf, "n": 1},
            },
        },
        "outcomes": {
            "base": {"response": 20, "oracle: score": 20},
            "ppo": {"response": 20, "oracle: score": 20},
        },
    },
}  # fmt: skip


def write_rows(path: Path, rows: Iterable[Record]) -> None:
    path.write_text("".join(row.to_json() + "\n" for row in rows), encoding="utf-8")


@pytest.fixture
def run_folder(tmp_path: Path) -> Path:
    """A run with all four kinds of stages, done."""
    folder = tmp_path / "run"
    places = {"revise": "01-revise", "sft": "02-sft", "compare": "03-compare", "evaluate": "04-evaluate"}
    for name, place in places.items():
        (folder / "stages" / place).mkdir(parents=True)
        summary = {"name": name, "fingerprint": "0" * 16, **SUMMARIES[name], "seconds": 61.6, "usage": USAGE}
        (folder / "stages" / place / "summary.json").write_text(json.dumps(summary))
    recipe = Recipe.of(RECIPE).model_dump(mode="json")
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe, sort_keys=False, allow_unicode=True))
    state = {
        "name": "demo",
        "status": "done",
        "seed": 11,
        "versions": {"jurist-core": "0.1.0", "trl": "1.16.0"},
        "stages": [{"name": name, "folder": place} for name, place in places.items()],
        "totals": {
            "policy": {"calls": 1234, **Usage(prompt_tokens=90_000, usd=0.0, seconds=75).model_dump()},
            "judge": {"calls": 160, **Usage(completion_tokens=777, usd=1.25, seconds=4000).model_dump()},
        },
    }
    (folder / "run.json").write_text(json.dumps(state))
    stages = folder / "stages"
    write_rows(stages / "01-revise/trajectories.jsonl", trajectories())
    write_rows(stages / "03-compare/judgments.jsonl", judged())
    write_rows(stages / "04-evaluate/responses.jsonl", evaluated())
    with (stages / "02-sft/metrics.jsonl").open("w") as file:
        for step in range(1, 201):
            row = {"step": step, "loss": 2 * math.exp(-step / 60) + 0.7, "lr": 0.001, "kl": step / 500}
            file.write(json.dumps(row) + "\n")
    return folder


class Page(HTMLParser):
    """The parsed page: its tags, and the text of its scripts and tables."""

    def __init__(self, html: str) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.scripts: list[tuple[str | None, str]] = []
        self.rows: list[list[str]] = []
        self.text = ""
        self._inside: str | None = None
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._inside = tag if tag in ("script", "style") else None
        if tag == "script":
            self.scripts.append((dict(attrs).get("type"), ""))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        self._inside = None
        if tag == "table":
            self.rows.append([])

    def handle_data(self, data: str) -> None:
        if self._inside == "script":
            kind, text = self.scripts[-1]
            self.scripts[-1] = (kind, text + data)
        elif self._inside is None:
            self.text += data
            if self.rows and self.rows[-1]:
                self.rows[-1][-1] += data

    def row(self, name: str) -> list[str]:
        """The cells after the first of the first table row that begins with ``name``."""
        cells = [[" ".join(cell.split()) for cell in row] for row in self.rows]
        return next(row[1:] for row in cells if row and row[0] == name)

    def data(self) -> list[Any]:
        """Everything that scripts of the page read, charts left out."""
        read = [json.loads(text) for kind, text in self.scripts if kind == "application/json"]
        return [each for each in read if "layout" not in each]


@pytest.fixture
def page_of() -> Callable[[Path], Page]:
    """The parsed report of a run."""
    return lambda folder: Page(write_report(folder, folder / "report.html").read_text(encoding="utf-8"))


@pytest.fixture
def parsed() -> Callable[[str], Page]:
    """Any page, parsed."""
    return Page
