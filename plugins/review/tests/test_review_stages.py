"""Parts of single stages: best-of-n, plans, warnings of trainings, what stages made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from jurist.intervals import estimate
from jurist.planning.bounds import Bounds
from jurist.planning.plan import NO_COST, ComponentPlan, Cost, Plan, StagePlan
from jurist.recipe import Recipe
from jurist.records import Abstention, Failure, Prompt, Response, Score
from jurist.stage_records import Candidate, Candidates
from jurist_review.browsing import Browser
from jurist_review.candidates import summarise
from jurist_review.planned import Planned

PageOf = Callable[[Path], Any]


def candidates(number: int, *scores: float | None) -> Candidates:
    """A prompt with a response for each score; None: a scorer abstained."""
    found = [
        Candidate(
            response=Response(text=f"response {number}.{n}"),
            scores={
                "oracle": Abstention(source="oracle", reason="unparsed")
                if score is None
                else Score(source="oracle", value=score)
            },
        )
        for n, score in enumerate(scores)
    ]
    return Candidates.of(Prompt.of(f"Question {number}?", tags=("t",)), found)


FOUND = [
    candidates(0, 0.1, 0.9, 0.5),
    candidates(1, 0.7, 0.2, None),
    candidates(2, None, 0.4, 0.3),
    candidates(3, None, None, None),
    Candidates.of(Prompt.of("E?"), [Candidate(response=Failure(error="429"))]),
]


def test_first_and_best_are_compared_where_both_have_a_score() -> None:
    browser = Browser(100_000, "prompts", "Gain")
    found = summarise(FOUND, browser)
    assert found.count == 5
    assert found.scores == {
        "first": estimate([0.1, 0.7]),
        "best": estimate([0.9, 0.7]),
        "gain": estimate([0.8, 0.0]),
    }
    read = json.loads(browser.data())
    assert [read["outcomes"][row[1]] for row in read["rows"]] == [
        *("a later one", "the first", "a later one", "no score", "no score")
    ]
    assert [row[3] for row in read["rows"]] == ["+0.800", "+0.000", "", "", ""]
    assert read["details"]["0"][2] == ["Response 2 · best, score 0.900", "response 0.1"]
    assert read["details"]["4"][1] == ["Response 1", "failed: 429"]


def test_a_best_of_stage_is_in_the_report(run_folder: Path, page_of: PageOf) -> None:
    recipe = yaml.safe_load((run_folder / "recipe.yaml").read_text())
    recipe["stages"][0] = {"stage": "best_of", "name": "revise", "samples": 3, "scorers": ["oracle"]}
    (run_folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    folder = run_folder / "stages/01-revise"
    (folder / "candidates.jsonl").write_text("".join(each.to_json() + "\n" for each in FOUND))
    summary = {"prompts": 5, "revisions": 3, "without_score": 2, "responses": {"response": 12, "failure": 1}}
    summary |= {"scores": {"oracle": {"score": 7, "abstention": 5}}, "score": {"gain": 0.4}}  # type: ignore[dict-item]
    (folder / "summary.json").write_text(json.dumps(summary))
    page = page_of(run_folder)
    assert page.row("best responses kept for training")[:2] == ["3", "60.0%"]
    assert page.row("oracle · abstention")[:2] == ["5", "41.7%"]
    assert page.row("first")[0].startswith("0.400 [")
    assert page.row("gain")[0].endswith("n = 2")
    assert "Response 2 · best" in page.text
    assert "failed: 429" in page.text


def component(**changes: Any) -> ComponentPlan:
    usd = Bounds(low=0.1, high=0.4)
    fields: dict[str, Any] = {
        "component": "m", "role": "judge", "where": ("x",), "calls": Bounds(low=80, high=160),
        "prompt_tokens": Bounds(low=40_000, high=48_000), "completion_tokens": Bounds(low=7_000, high=9_000),
        "counted": "tokenizer", "cost": Cost(usd=usd, online=usd), "batched": False,
        "seconds": Bounds(low=30, high=90),
    }  # fmt: skip
    return ComponentPlan(**{**fields, **changes})


def recipe_of(run_folder: Path) -> Recipe:
    return Recipe.of(yaml.safe_load((run_folder / "recipe.yaml").read_text()))


def test_figures_stand_over_their_plan(run_folder: Path, page_of: PageOf) -> None:
    unknown = component(component="n", prompt_tokens=None, completion_tokens=None, cost=None, seconds=None)
    stages = [
        StagePlan(stage="revise", kind="revise", components=(component(),)),
        StagePlan(stage="sft", kind="train", trainer="sft"),
        StagePlan(stage="compare", kind="compare", components=(component(), unknown)),
        StagePlan(stage="evaluate", kind="evaluate", components=(component().unbounded(),)),
    ]
    assert "plan.json" not in page_of(run_folder).text
    plan = Plan.of(recipe_of(run_folder), stages)
    (run_folder / "plan.json").write_text(json.dumps(plan.model_dump(mode="json")))
    page = page_of(run_folder)
    assert page.row("revise") == [
        "1 min 2 s plan 30.0 s – 1 min 30 s",
        "48,000 plan 40,000 – 48,000",
        "6,100 plan 7,000 – 9,000 less",
        "$0.4321 plan $0.1000 – $0.4000 more",
        "1 min 23 s",
    ]
    assert page.row("sft") == ["1 min 2 s", "48,000", "6,100", "$0.4321", "1 min 23 s"]
    assert page.row("compare")[1] == "48,000 plan 40,000 – 48,000 and more"
    assert page.row("compare")[3] == "$0.4321 plan $0.1000 – $0.4000 and more", "of one, no price is known"
    assert page.row("evaluate")[3] == "$0.4321 plan $0.00 – any amount"
    assert page.row("All stages")[1:3] == [
        "90,000 plan 80,000 – any number and more",
        "777 plan 14,000 – any number and more less",
    ]


def test_a_plan_of_other_settings_is_left_out(run_folder: Path, page_of: PageOf) -> None:
    stages = [StagePlan(stage="revise", kind="revise", components=(component(),))]
    plan = Plan.of(recipe_of(run_folder).model_copy(update={"seed": 5}), stages)
    (run_folder / "plan.json").write_text(json.dumps(plan.model_dump(mode="json")))
    page = page_of(run_folder)
    assert "plan.json" not in page.text
    assert page.row("revise")[0] == "1 min 2 s"


def test_a_plan_that_is_damaged_is_named(run_folder: Path, page_of: PageOf) -> None:
    (run_folder / "plan.json").write_text('{"stages": 7}')
    page = page_of(run_folder)
    assert "plan.json could not be read" in page.text
    assert page.row("revise")[0] == "1 min 2 s"


@pytest.mark.parametrize(
    ("low", "high", "actual", "complete", "verdict"),
    [
        (0, 0, 0, True, "as planned"), (1, 2, 0.9, True, "less"), (1, 2, 2.1, True, "more"),
        (1, 2, 2.1, False, "as planned"), (0.3, 0.3, 0.1 + 0.2, True, "as planned"),
    ],
)  # fmt: skip
def test_verdicts_on_a_plan(low: float, high: float, actual: float, complete: bool, verdict: str) -> None:
    assert Planned(Bounds(low=low, high=high), actual, complete).verdict == verdict
    assert NO_COST.usd == Bounds()


def test_warnings_of_a_training_are_shown_before_its_curves(run_folder: Path, page_of: PageOf) -> None:
    rows = [
        {"step": 12, "warning": "rewards rise while the held-out metric falls"},
        {"step": 30, "warning": "<b>"},
    ]
    (run_folder / "stages/02-sft/warnings.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    text = " ".join(page_of(run_folder).text.split())
    assert "step 12: rewards rise while the held-out metric falls step 30: <b> Training curves" in text


def test_early_and_late_samples_of_a_training_are_shown(run_folder: Path, page_of: PageOf) -> None:
    rows = [
        {
            "step": n,
            "prompt": [{"role": "user", "content": f"ask {n}"}],
            "response": "" if n == 1 else f"<i>say {n}</i>",
            "reward": None if n == 2 else n / 4,
        }
        for n in range(1, 31)
    ]
    (run_folder / "stages/02-sft/samples.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    shown = [[" ".join(cell.split()) for cell in row] for row in page_of(run_folder).rows]
    found = [row for row in shown if len(row) == 4 and row[1].startswith("ask ")]
    assert [row[0] for row in found] == [str(n) for n in (*range(1, 9), *range(23, 31))]
    assert found[0] == ["1", "ask 1", "an empty text", "0.250"]
    assert found[1] == ["2", "ask 2", "<i>say 2</i>", "–"]


def test_what_stages_made_and_who_answered(run_folder: Path, page_of: PageOf) -> None:
    path = run_folder / "stages/02-sft/summary.json"
    artifact = {"kind": "reward_model", "fingerprint": "ab" * 32, "path": "model"}
    path.write_text(json.dumps({**json.loads(path.read_text()), "artifact": artifact}))
    state = json.loads((run_folder / "run.json").read_text())
    served = {"judge": {"gpt-9-2030-01-01": 1500, "gpt-9-2030-02-02": 2}}
    (run_folder / "run.json").write_text(json.dumps({**state, "served": served}))
    page = page_of(run_folder)
    rows = [[" ".join(cell.split()) for cell in row] for row in page.rows]
    assert ["sft", "reward model", "stages/02-sft/model", "ab" * 8] in rows
    assert ["judge", "gpt-9-2030-01-01", "1,500"] in rows
    assert ["judge", "gpt-9-2030-02-02", "2"] in rows
