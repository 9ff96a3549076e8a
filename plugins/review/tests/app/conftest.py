"""Runs with labels to review, written as core writes them, and the app of one of them."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

import pytest
import yaml
from starlette.testclient import TestClient

from jurist.recipe import Recipe
from jurist.records import (
    Abstention,
    Comparison,
    Critique,
    Decision,
    Failure,
    Finding,
    JudgeOutcome,
    Judgment,
    Prompt,
    Response,
    Step,
    Trajectory,
)
from jurist.stage_records import Judged
from jurist.stages.compare import preference_of
from jurist_review.app.desk import Desk, Sampling
from jurist_review.app.security import Access
from jurist_review.app.site import make_app

TOKEN = "t" * 43
WriteRun = Callable[..., Path]
MakeJudged = Callable[..., list[Judged]]


def judged_rows(number: int, *, flipped: bool = False, seed: int = 3) -> list[Judged]:
    """Comparisons of a jury of three; ``flipped``: each judge says the opposite, and gives other reasons."""
    draw = random.Random(seed)
    found = []
    for n in range(number):
        comparison = Comparison(
            prompt=Prompt.of(
                f"Question {n} about {draw.choice(['tea', 'rain', '下雨天'])}?", tags=(f"t{n % 3}",)
            ),
            response_a=Response(text=f"First answer to {n}: {draw.choice(['yes', 'no'])}."),
            response_b=Response(text=f"Second answer to {n}: perhaps."),
        )
        votes = [draw.random() for _ in range(3)]
        if n % 4 < 2:
            votes = [0.9 if n % 2 else 0.1] * 3  # all of one mind
        outcomes = [_outcome(judge, vote, flipped) for judge, vote in zip("xyz", votes, strict=True)]
        if n % 7 == 5:
            outcomes[1] = Abstention(source="y", reason="refused")
        if n % 11 == 6:
            outcomes[2] = Failure(source="z", error="the line was cut")
        cast = [each.preference for each in outcomes if isinstance(each, Judgment)]
        decision = Decision(status="decided", probability=sum(cast) / len(cast), aggregator="mean")
        if n % 10 == 9:
            decision = Decision(status="set_aside", reason="no_majority", aggregator="majority")
        found.append(Judged(comparison=comparison, outcomes=tuple(outcomes), decision=decision))
    return found


def _outcome(judge: str, vote: float, flipped: bool) -> JudgeOutcome:
    vote, reason = (1 - vote, "because of the moon") if flipped else (vote, "because of the sun")
    return Judgment(source=judge, preference=vote, rationale=f"{judge} decides {reason}", order="ab")


def trajectory_rows() -> list[Trajectory]:
    """Three: one revised, one satisfied at once, one failed."""
    bad = Critique(findings=(Finding(principle="kind", satisfied=False, explanation="It scolds."),))
    good = Critique(findings=(Finding(principle="kind", satisfied=True),))
    first, second = Response(text="Go away, fool."), Response(text="Please come later.")
    steps = (
        Step(round=1, principles=("kind",), critique=bad, revision=second),
        Step(round=2, principles=("kind",), critique=good),
    )
    return [
        Trajectory(prompt=Prompt.of("May I come in?"), response=first, steps=steps, ended="satisfied"),
        Trajectory(
            prompt=Prompt.of("Hello!"),
            response=Response(text="Hello, tea?"),
            steps=(Step(round=1, principles=("kind",), critique=good),),
            ended="satisfied",
        ),
        Trajectory(prompt=Prompt.of("Hm?"), response=Failure(error="no answer"), ended="failure"),
    ]


def write_run(
    folder: Path, judged: Sequence[Judged], trajectories: Iterable[Trajectory] = (), status: str = "done"
) -> Path:
    """A run with the stages ``revise`` and ``compare``; one that is running has not finished ``compare``."""
    stages = folder / "stages"
    revise, compare = stages / "01-revise", stages / "02-compare"
    for place in (revise, compare):
        place.mkdir(parents=True, exist_ok=True)
    recipe = {
        "name": "tiny",
        "prompts": "prompts.jsonl",
        "policy": {"use": "hf", "model": "m"},
        "budget": {"usd": 5},
        "stages": [{"stage": "revise"}, {"stage": "compare", "judges": ["x", "y", "z"]}],
    }
    text = yaml.safe_dump(Recipe.of(recipe).model_dump(mode="json"), allow_unicode=True)
    (folder / "recipe.yaml").write_text(text, encoding="utf-8")
    names = ["revise", "compare"] if status == "done" else ["revise"]
    state = {
        "name": "tiny",
        "status": status,
        "seed": 0,
        "stages": [{"name": name, "folder": f"{n:02d}-{name}"} for n, name in enumerate(names, 1)],
    }
    (folder / "run.json").write_text(json.dumps(state))
    _write(revise / "trajectories.jsonl", (each.to_json() for each in trajectories))
    (revise / "summary.json").write_text(json.dumps({"seconds": 61.0}))
    draft = "" if status == "done" else ".part"
    _write(compare / f"judgments.jsonl{draft}", (each.to_json() for each in judged))
    labels = [label for each in judged if (label := preference_of(each)) is not None]
    _write(compare / f"preferences.jsonl{draft}", (label.to_json() for label in labels))
    if status == "done":
        (compare / "summary.json").write_text(json.dumps({"seconds": 5.0, "versions": {}, "seed": None}))
    return folder


def _write(path: Path, lines: Iterable[str]) -> None:
    path.write_text("".join(line + "\n" for line in lines), encoding="utf-8")


@pytest.fixture
def make_judged() -> MakeJudged:
    return judged_rows


@pytest.fixture
def make_run(tmp_path: Path) -> WriteRun:
    def written(judged: Sequence[Judged], name: str = "run", **options: object) -> Path:
        return write_run(tmp_path / name, judged, **options)  # type: ignore[arg-type]

    return written


@pytest.fixture
def run(make_run: WriteRun) -> Path:
    """120 comparisons, of which 108 have labels, and three trajectories."""
    return make_run(judged_rows(120), trajectories=trajectory_rows())


@pytest.fixture
def desk(run: Path) -> Desk:
    """The desk of the run, with a sample of 20."""
    desk = Desk(run, Sampling(size=20))
    desk.catch_up()
    assert desk.trouble == ""
    return desk


def client_of(desk: Desk, reviewer: str = "ann") -> TestClient:
    """A browser that is let in, without the thread that keeps up with files."""
    client = TestClient(
        make_app(desk, Access(TOKEN, "127.0.0.1", 8000), reviewer),
        base_url="http://127.0.0.1:8000",
        follow_redirects=False,
    )
    client.cookies.set("jurist_review_8000", TOKEN)
    return client


@pytest.fixture
def make_client() -> Callable[..., TestClient]:
    return client_of


@pytest.fixture
def client(desk: Desk) -> TestClient:
    return client_of(desk)
