"""Runs beside each other: what differs, by how much, and which labels."""

from __future__ import annotations

import json
import math
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from jurist.errors import UsageError
from jurist.intervals import Estimate, Z, estimate, wilson
from jurist.stage_records import Judged
from jurist_review.comparing import write_comparison
from jurist_review.contrast import difference
from jurist_review.label_changes import label_changes
from jurist_review.recipe_changes import recipe_changes

Parsed = Callable[[str], Any]


@pytest.fixture
def other(run_folder: Path) -> Path:
    """The same run once more: another seed and trainer, other labels, a better policy, no ``sft`` metrics."""
    folder = run_folder.parent / "other"
    shutil.copytree(run_folder, folder)
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text())
    recipe["seed"] = 12
    recipe["stages"][1]["trainer"] = {"use": "sft", "epochs": 3}
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    state = json.loads((folder / "run.json").read_text())
    state |= {"name": "second", "seed": 12, "versions": {**state["versions"], "trl": "1.17.0"}}
    (folder / "run.json").write_text(json.dumps(state))
    path = folder / "stages/03-compare/judgments.jsonl"
    rows = [json.loads(line) for line in path.read_text().splitlines()]
    for row in rows[:5]:
        row["decision"]["probability"] = 1 - row["decision"]["probability"]
    rows[5]["decision"] |= {"status": "set_aside", "probability": None, "reason": "no_votes"}
    rows[6]["comparison"]["response_b"]["text"] = "Another."
    path.write_text("".join(json.dumps(row) + "\n" for row in rows[:-2]))
    path = folder / "stages/04-evaluate/summary.json"
    summary = json.loads(path.read_text())
    summary["policies"]["ppo"]["oracle.violation"] = {"mean": 0.0, "low": 0.0, "high": 0.1611, "n": 20}
    path.write_text(json.dumps(summary))
    return folder


@pytest.fixture
def page(run_folder: Path, other: Path, parsed: Parsed) -> Any:
    output = write_comparison([run_folder, other], run_folder.parent / "both.html")
    return parsed(output.read_text(encoding="utf-8"))


def rows_of(page: Any) -> list[list[str]]:
    return [[" ".join(cell.split()) for cell in row] for row in page.rows if row]


def test_settings_and_versions_that_differ_are_named(page: Any) -> None:
    assert page.row("seed") == ["11", "12"]
    assert page.row("stages.sft.trainer") == ['"sft"', "not set"]
    assert page.row("stages.sft.trainer.epochs") == ["not set", "3"]
    assert page.row("trl") == ["1.16.0", "1.17.0"]
    assert not [row for row in rows_of(page) if row[0] in ("jurist-core", "stages.revise.rounds")]


def test_results_stand_beside_each_other_with_their_difference(page: Any) -> None:
    found = [row for row in rows_of(page) if row[:2] == ["oracle.violation", "ppo"]]
    first = Estimate(mean=0.05, low=0.0089, high=0.2361, n=20)
    second = Estimate(mean=0, low=0, high=0.1611, n=20)
    low = -0.05 - math.hypot(0, 0.2361 - 0.05)
    high = -0.05 + math.hypot(0.1611, 0.05 - 0.0089)
    assert difference(first, second).low == pytest.approx(low)
    text = f"−0.050 [{low:.3f}, {high:.3f}]".replace("-", "−")
    assert found == [
        ["oracle.violation", "ppo", "0.050 [0.009, 0.236] n = 20", "0.000 [0.000, 0.161] n = 20", text]
    ]


def test_a_difference_of_means_has_the_textbook_interval() -> None:
    one, two = estimate([1.0, 2.0, 3.0, 5.0]), estimate([2.5, 4.0, 7.0])
    found = difference(one, two)
    error = math.sqrt(((one.high - one.mean) / Z) ** 2 + ((two.high - two.mean) / Z) ** 2)
    assert found.mean == pytest.approx(4.5 - 2.75)
    assert (found.low, found.high) == (
        pytest.approx(found.mean - Z * error),
        pytest.approx(found.mean + Z * error),
    )
    # Newcombe (1998), table II, method 10: 56/70 against 48/80
    newcombe = difference(wilson(48 / 80, 80, 80), wilson(56 / 70, 70, 70))
    assert (round(newcombe.low, 4), round(newcombe.high, 4)) == (0.0524, 0.3339)


def test_labels_that_changed_are_counted_and_shown(page: Any, run_folder: Path, other: Path) -> None:
    text = " ".join(page.text.split())
    assert (
        "In both runs: 37 comparisons; decided otherwise: 6 (16.2%). In run 1 · demo alone: 3, "
        "in run 2 · second alone: 1." in text
    )
    files = [folder / "stages/03-compare/judgments.jsonl" for folder in (run_folder, other)]
    judged = [[Judged.model_validate_json(line) for line in file.read_text().splitlines()] for file in files]
    found = label_changes(*judged, browsed=100_000)
    assert (found.shared, found.changed, found.only_before, found.only_after) == (37, 6, 3, 1)
    assert {pair: count for pair, count in found.counts.items() if pair[0] != pair[1]} == {
        ("A is better", "B is better"): 5,
        ("B is better", "set aside: no votes"): 1,
    }
    assert len(found.samples) == 6
    (data,) = page.data()
    assert len(data["rows"]) == 6
    before, after = data["rows"][0][3].split(" → ")
    assert float(before) == pytest.approx(1 - float(after))
    assert data["rows"][5][3].endswith("→ –")
    headings = [section[0] for section in data["details"]["0"]]
    assert headings[3].startswith("Before: ")
    assert headings[4].startswith("After: ")


def test_metrics_that_are_not_drawn_are_counted(run_folder: Path, parsed: Any) -> None:
    rows = ({"step": step, **{f"metric {n}": step * n for n in range(1, 16)}} for step in (1, 2))
    path = run_folder / "stages/02-sft/metrics.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    written = write_comparison([run_folder] * 2, run_folder / "x.html")
    assert "3 more metrics in the table alone." in parsed(written.read_text(encoding="utf-8")).text


def test_funnels_judges_costs_and_curves_of_both(page: Any) -> None:
    rows = rows_of(page)
    assert ["prompts", "40 100.0%", "40 100.0%"] in rows
    assert ["run 2 · second", "1 min 2 s", "48,000", "6,100", "$0.4321", "1 min 23 s"] in rows
    judges = [row for row in rows if row[:2] == ["lenient", "run 2 · second"]]
    assert judges[0][2:6] == ["32", "0", "8", "0"]
    assert judges[0][6] == "0.900 [0.744, 0.965] n = 30"
    assert page.row("kl")[1:] != []
    assert ["loss", "0.771", "0.771"] in rows
    figures = [json.loads(text) for kind, text in page.scripts if kind == "application/json"]
    curves = [each["data"] for each in figures if "layout" in each and each["data"][0]["type"] == "scatter"]
    overlaid = [traces for traces in curves if len(traces) == 2]
    assert [[trace["name"] for trace in traces] for traces in overlaid] == [
        ["run 1 · demo", "run 2 · second"]
    ] * 2


def test_three_runs_and_stages_that_only_one_has(run_folder: Path, other: Path, parsed: Parsed) -> None:
    third = run_folder.parent / "third"
    shutil.copytree(run_folder, third)
    recipe = yaml.safe_load((third / "recipe.yaml").read_text())
    del recipe["stages"][2]
    recipe["stages"][0]["name"] = "rewrite"
    (third / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    output = write_comparison([run_folder, other, third], run_folder.parent / "three.html")
    page = parsed(output.read_text(encoding="utf-8"))
    text = " ".join(page.text.split())
    assert "run 3 · demo: has no such stage" in text
    assert "rewrite" in text
    assert "run 3 · demo: not finished" in text
    assert page.row("seed") == ["11", "12", "11"]
    assert text.count("In both runs: ") == 1


def test_lists_of_settings_are_compared_by_name() -> None:
    recipe: dict[str, Any] = {
        "stages": [{"stage": "train", "name": "a", "x": 1}, {"stage": "train", "name": "b", "x": [1, 2]}]
    }
    shorter = {"stages": [{"stage": "train", "name": "b", "x": [1, 3]}]}
    found = recipe_changes([recipe, shorter])
    assert {change.setting: change.values for change in found.changes} == {
        "stages.a.stage": ('"train"', None),
        "stages.a.name": ('"a"', None),
        "stages.a.x": ("1", None),
        "stages.b.x": ("[1, 2]", "[1, 3]"),
    }
    assert found.same == 2
    assert recipe_changes([recipe, recipe]).changes == ()


def test_elements_of_a_list_with_one_name_are_told_apart() -> None:
    def recipe(first: int) -> dict[str, object]:
        return {
            "aggregate": [{"use": "threshold", "at": first}, {"use": "threshold", "at": 2}, {"use": "mean"}]
        }

    found = recipe_changes([recipe(1), recipe(9)])
    assert [(change.setting, change.values) for change in found.changes] == [
        ("aggregate.threshold-0.at", ("1", "9"))
    ]
    assert found.same == 4


def test_settings_that_mean_the_same_are_no_change() -> None:
    one = {
        "stages": [
            {"stage": "train", "rate": "3e-4", "penalty": 1, "held_out": None, "note": "1 of 2", "tag": "nan"}
        ]
    }
    two = {"stages": [{"stage": "train", "rate": 0.0003, "penalty": 1.0, "note": "1 of 3", "tag": "nan"}]}
    found = recipe_changes([one, two])
    assert [change.setting for change in found.changes] == ["stages.train.note"]
    assert found.same == 4


def test_a_folder_that_is_no_run_is_refused(run_folder: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not the folder of a run"):
        write_comparison([run_folder, tmp_path], tmp_path / "x.html")
    assert not (tmp_path / "x.html").exists()


def test_hostile_text_is_text(run_folder: Path, other: Path, parsed: Parsed) -> None:
    hostile = (
        "</script><script>alert(1)</script><img src=x onerror=alert(2)>\u202e\x00 {{ 7*7 }} ![x](//e.example)"
    )
    for folder, name in ((run_folder, hostile), (other, hostile + "2")):
        state = json.loads((folder / "run.json").read_text())
        state |= {"name": hostile, "status": name, "versions": {name: name}}
        (folder / "run.json").write_text(json.dumps(state))
        recipe = yaml.safe_load((folder / "recipe.yaml").read_text())
        recipe["note"] = name.replace("\x00", "")
        (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
        path = folder / "stages/03-compare/judgments.jsonl"
        rows = [json.loads(line) for line in path.read_text().splitlines()]
        for row in rows:
            row["comparison"]["response_a"]["text"] += hostile
            for outcome in row["outcomes"]:
                outcome["source"] = hostile
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    page = parsed(write_comparison([run_folder, other], run_folder / "x.html").read_text(encoding="utf-8"))
    assert not [tag for tag, _ in page.tags if tag == "img"]
    assert len([kind for kind, _ in page.scripts if kind is None]) == 2
    assert not [text for kind, text in page.scripts if kind is not None and "</script" in text]
    assert page.text.count("<img src=x onerror=alert(2)>⟨U+202E⟩⟨U+0000⟩ {{ 7*7 }} ![x](//e.example)") > 20
    assert not set("\x00\u202e") & set(page.text)
