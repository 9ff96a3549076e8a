"""Labels of people, in and out, with the demo's judges and the plugin that measures: both commands."""

from __future__ import annotations

import json
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml

from jurist.aggregators.aggregation import Aggregation, measured_beside
from jurist.validation.labelled import load_labelled
from jurist.validation.measurement import validate
from jurist.validation.result import Validation
from jurist.validation.spot_check import SpotCheck
from jurist_registry.main import main
from jurist_registry.registry import Registry

JURY = ["demo-strict", "demo-friendly", "demo-brief"]
VERDICTS = "run/stages/01-validate/verdicts.jsonl"

Command = Callable[..., int]


@pytest.fixture
def jurist() -> Command:
    """Runs the command in this process and gives its exit code."""

    def run(*arguments: object) -> int:
        with pytest.raises(SystemExit) as exit_:
            main([str(argument) for argument in arguments])
        return int(exit_.value.code or 0)

    return run


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with sixty labelled items of the demo's world, its judges and a recipe."""
    monkeypatch.chdir(tmp_path)
    prompts = (resources.files("jurist_demo") / "prompts/test.jsonl").read_text(encoding="utf-8").splitlines()
    lines = [row for row in map(json.loads, prompts) if row["metadata"]["never"]][:60]
    items = [_item(number, row) for number, row in enumerate(lines)]
    Path("labelled.jsonl").write_text("".join(json.dumps(item) + "\n" for item in items))
    general = {"constitution": "package:jurist_demo/constitution.yaml"}
    Path("judges.yaml").write_text(yaml.safe_dump({**general, "judges": JURY}))
    stages = [
        {"stage": "validate", "labelled": "labelled.jsonl", "judges": JURY},
        {"stage": "compare", "pairs": "labelled.jsonl", "judges": JURY},
    ]
    Path("recipe.yaml").write_text(yaml.safe_dump({**general, "name": "gated", "stages": stages}))
    return tmp_path


def _item(number: int, row: dict[str, Any]) -> dict[str, Any]:
    good, bad = row["metadata"]["good"][0], f"Take {row['metadata']['never'][0]}, obviously."
    first, second = (good, bad) if number % 2 else (bad, good)
    texts = {"prompt": row["messages"], "response_a": first, "response_b": second}
    return {"item": f"q{number}", "label": "BA"[number % 2], **texts}


def test_judges_that_are_asked_and_their_recorded_verdicts_give_the_same_numbers(
    jurist: Command, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("validate", "labelled.jsonl", "--judges", "judges.yaml", "--out", "run", "--json", "live.json")
    assert jurist(*asked) == 0
    shown = capsys.readouterr().out
    assert shown.startswith(f"validate: 60 items; in {Path(VERDICTS).parent}\n  trust: majority")
    assert shown.endswith(f"verdicts: {VERDICTS}\n")
    assert jurist("validate", "--verdicts", VERDICTS, "--aggregate", "majority", "--json", "again.json") == 0
    assert (workplace / "again.json").read_bytes() == (workplace / "live.json").read_bytes()
    assert capsys.readouterr().out.strip() in shown
    registry = Registry.discover()
    jury = Aggregation.of(["majority"], registry)
    measured = validate(load_labelled(Path(VERDICTS)), measured_beside(jury, registry), registry)
    assert measured == Validation.model_validate_json((workplace / "live.json").read_text())


def test_a_gate_stops_a_run_with_code_four_and_lets_a_better_jury_pass(
    jurist: Command, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    strict = ("--set", "stages.validate.thresholds={warn: 1, trust: 1}")
    assert jurist("run", "recipe.yaml", *strict) == 4
    assert "'majority' is not good enough" in capsys.readouterr().err
    assert [path.name for path in Path("runs/gated/stages").iterdir()] == ["01-validate"]
    assert jurist("run", "recipe.yaml", *strict) == 4
    assert jurist("run", "recipe.yaml") == 0
    asked = ("validate", "labelled.jsonl", "--judges", "judges.yaml", "--trust", "1", "--require", "trust")
    assert jurist(*asked, "--out", "run", "--json", "gated.json") == 4
    captured = capsys.readouterr()
    assert "longest-response" in captured.out
    assert json.loads(Path("gated.json").read_text())["recommendation"] == "warn"
    assert jurist("validate", "--verdicts", VERDICTS, "--trust", "1", "--require", "trust") == 4
    assert jurist("validate", "--verdicts", VERDICTS, "--trust", "1", "--require", "warn") == 0


def test_anchors_of_an_earlier_run_are_judged_again(
    jurist: Command, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("validate", "labelled.jsonl", "--judges", "judges.yaml")
    assert jurist(*asked, "--out", "run") == 0
    assert jurist(*asked, "--out", "later", "--anchors", VERDICTS, "--json", "later.json") == 0
    assert "anchors: demo-strict: 0 of 60 verdicts changed" in capsys.readouterr().err
    moved = [json.loads(line) for line in Path(VERDICTS).read_text().splitlines()]
    for row in moved[:20]:
        for vote in row["votes"]:
            if vote["judge"] == "demo-brief":
                vote["verdict"] = {"A": "B", "B": "A", "tie": "A", None: "A"}[vote["verdict"]]
                vote["probability"] = None
    Path("moved.jsonl").write_text("".join(json.dumps(row) + "\n" for row in moved))
    assert jurist(*asked, "--out", "drifted", "--anchors", "moved.jsonl", "--json", "drifted.json") == 4
    assert "error: demo-brief drifted: more than 5% of the verdicts" in capsys.readouterr().err
    assert list(json.loads(Path("drifted.json").read_text())) == ["drift"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "give LABELLED and --judges, or --verdicts"),
        (("labelled.jsonl",), "give LABELLED and --judges, or --verdicts"),
        (
            ("--verdicts", "labelled.jsonl", "--judges", "judges.yaml"),
            "no meaning beside --verdicts: --judges",
        ),
        (
            ("labelled.jsonl", "--judges", "judges.yaml", "--subject", "x"),
            "no meaning beside LABELLED: --subject",
        ),
        (("--verdicts", "none.jsonl"), "'none.jsonl' does not exist"),
        (("--verdicts", "labelled.jsonl"), "no votes to hold against them"),
        (("--verdicts", "votes.jsonl", "--subject", "majorty"), "did you mean 'majority'?"),
        (("--verdicts", "votes.jsonl", "--aggregate", "majorty"), "did you mean 'majority'?"),
        (("--verdicts", "votes.jsonl", "--aggregate", "[unclosed"), "not valid YAML"),
        (("--verdicts", "votes.jsonl", "--aggregate", "3"), "a component is a NAME"),
        (("--verdicts", "votes.jsonl", "--warn", "0.9"), "'warn' (0.9) is above 'trust' (0.8)"),
        (
            ("--verdicts", "votes.jsonl", "--save-jury", "jury"),
            "'majority' is not learnt from labelled items",
        ),
        (("--verdicts", "votes.jsonl", "--no-plugin", "validate"), "pip install jurist-validate"),
        (
            ("labelled.jsonl", "--judges", "judges.yaml", "--no-plugin", "validate"),
            "pip install jurist-validate",
        ),
        (("labelled.jsonl", "--judges", "judges.yaml", "--orders", "sideways"), "- orders"),
        (
            ("labelled.jsonl", "--judges", "number.yaml", "--warn", "0.7"),
            "- thresholds: Input should be",
        ),
        (("labelled.jsonl", "--judges", "number.yaml"), "- thresholds: Input should be"),
        (
            ("--verdicts", "votes.jsonl", "--aggregate", "{use: weighted, weights: {k: 1}}"),
            "weights: judge 'j' has none",
        ),
    ],
)
def test_mistakes_are_one_message(
    arguments: tuple[str, ...],
    message: str,
    jurist: Command,
    workplace: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    vote = {"item": 1, "label": "A", "votes": [{"judge": "j", "verdict": "A"}]}
    Path("votes.jsonl").write_text(json.dumps(vote) + "\n")
    Path("number.yaml").write_text("judges: [demo-strict]\nthresholds: 0.9\n")
    assert jurist("validate", *arguments) == 2
    assert message in capsys.readouterr().err
    assert not Path("runs").exists()


def test_any_name_of_a_file_makes_a_name_of_a_run(jurist: Command, workplace: Path) -> None:
    Path("labelled.jsonl").rename("my labels (2).jsonl")
    assert jurist("validate", "my labels (2).jsonl", "--judges", "judges.yaml") == 0
    assert Path("runs/validate-my-labels--2-/stages/01-validate/verdicts.jsonl").exists()
    assert jurist("judge", "my labels (2).jsonl", "--judges", "judges.yaml") == 0
    assert Path("runs/judge-my-labels--2-/stages/01-compare/preferences.jsonl").exists()


def test_a_spot_check_goes_out_to_people_and_comes_back(
    jurist: Command, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert jurist("run", "recipe.yaml") == 0
    assert jurist("spot-check", "sample", "runs/gated", "--size", 30) == 0
    assert "runs/gated/spot_check.jsonl: 30 comparisons to label" in capsys.readouterr().out
    assert jurist("spot-check", "sample", "runs/gated") == 2
    assert "may hold somebody's labels" in capsys.readouterr().err
    rows = [json.loads(line) for line in Path("runs/gated/spot_check.jsonl").read_text().splitlines()]
    assert not {"votes", "decision", "outcomes"} & rows[0].keys()  # people must not see what the jury said
    for row in rows[3:]:
        row["label"] = "B" if "obviously" in row["response_a"] else "A"
    Path("labels.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    assert jurist("spot-check", "import", "runs/gated", "labels.jsonl", "--json", "found.json") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("27 of 60 labels of stage 'compare' checked; 3 rows without a label\n")
    assert "right, of all labels: " in shown
    found = json.loads(Path("found.json").read_text())
    assert found == json.loads(Path("runs/gated/stages/02-compare/spot_check.json").read_text())
    assert found["accuracy"]["low"] <= 59 / 60
    labels = SpotCheck(Path("runs/gated")).labels_file
    assert len(load_labelled(labels)) == 27
    assert jurist("validate", "--verdicts", labels) == 0
    assert jurist("spot-check", "sample", "runs/gated", "--size", 50, "--out", "more.jsonl") == 0
    assert "more.jsonl: 33 comparisons to label" in capsys.readouterr().out


def test_labels_that_are_replaced_are_counted(
    jurist: Command, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert jurist("run", "recipe.yaml") == 0
    assert jurist("spot-check", "sample", "runs/gated", "--size", 10) == 0
    rows = [json.loads(line) for line in Path("runs/gated/spot_check.jsonl").read_text().splitlines()]
    for label in ("A", "B"):
        Path("labels.jsonl").write_text("".join(json.dumps({**row, "label": label}) + "\n" for row in rows))
        capsys.readouterr()
        assert jurist("spot-check", "import", "runs/gated", "labels.jsonl") == 0
        first = capsys.readouterr().out.splitlines()[0]
        replaced = "; 10 labels replaced" if label == "B" else ""
        assert first == f"10 of 60 labels of stage 'compare' checked{replaced}"


def test_a_jury_is_saved_neither_way_where_the_gate_closes(jurist: Command, workplace: Path) -> None:
    wanted = ("--aggregate", "calibrated", "--trust", "1", "--require", "trust", "--save-jury", "jury")
    assert jurist("validate", "labelled.jsonl", "--judges", "judges.yaml", "--out", "run", *wanted) == 4
    assert jurist("validate", "--verdicts", VERDICTS, *wanted) == 4
    assert not Path("jury").exists()


def test_too_few_items_to_learn_from_are_measured_all_the_same(
    jurist: Command, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    few = Path("labelled.jsonl").read_text().splitlines()[:6]
    Path("few.jsonl").write_text("".join(f"{line}\n" for line in few))
    asked = ("validate", "few.jsonl", "--judges", "judges.yaml", "--out", "few", "--aggregate", "calibrated")
    assert jurist(*asked) == 0
    captured = capsys.readouterr()
    assert "longest-response" in captured.out
    assert "no jury was learnt: aggregator 'calibrated'" in captured.err
    assert jurist(*asked, "--save-jury", "jury") == 2
    captured = capsys.readouterr()
    assert "longest-response" in captured.out
    assert "--save-jury: no jury was learnt" in captured.err
    assert "6 of 6 items have a side as label" in captured.err
    assert not Path("jury").exists()


def test_aggregators_are_named_alike_by_both_commands(
    jurist: Command, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ("judge", "labelled.jsonl", "--judges", "judges.yaml", "--out", "judged")
    assert jurist(*asked, "--aggregate", "{use: majority, min_votes: 4}") == 0
    assert "compare: 0 preferences" in capsys.readouterr().out
    assert jurist(*asked, "--aggregate", "[majority]") == 2
    assert "a component is a NAME" in capsys.readouterr().err


def test_what_is_no_run_or_has_no_labels_is_said(
    jurist: Command, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert jurist("spot-check", "sample", "nowhere") == 2
    assert "nowhere is not the folder of a run" in capsys.readouterr().err
    asked = ("validate", "labelled.jsonl", "--judges", "judges.yaml", "--out", "run")
    assert jurist(*asked) == 0
    assert jurist("spot-check", "import", "run", "labelled.jsonl") == 2
    assert "run: no finished stage gives labels" in capsys.readouterr().err


def test_a_jury_that_learns_is_handed_on_saved_and_refuses_other_judges(
    jurist: Command, workplace: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    calibrated, handed = "stages.validate.aggregate=[calibrated]", "stages.compare.aggregate=[jury]"
    assert jurist("run", "recipe.yaml", "--set", calibrated, "--set", handed) == 0
    assert "calibrated is right on" in capsys.readouterr().out
    judgments = Path("runs/gated/stages/02-compare/judgments.jsonl").read_text().splitlines()
    assert {json.loads(line)["decision"]["aggregator"] for line in judgments} == {"calibrated"}

    asked = ("validate", "labelled.jsonl", "--judges", "judges.yaml", "--out", "run")
    assert jurist(*asked, "--save-jury", "asked") == 2
    assert "'majority' is not learnt" in capsys.readouterr().err
    assert jurist(*asked, "--aggregate", "calibrated", "--save-jury", "asked") == 0
    recorded = ("validate", "--verdicts", VERDICTS, "--subject", "calibrated")
    assert jurist(*recorded, "--save-jury", "recorded") == 0
    learnt = ("--aggregate", "{use: calibrated, model: recorded}", "--save-jury", "anew")
    for form in (asked, ("validate", "--verdicts", VERDICTS)):
        assert jurist(*form, *learnt) == 2
        told = capsys.readouterr().err
        assert "--save-jury: 'calibrated' comes learnt (model: recorded)" in told
        assert "leave out 'model' to learn it anew" in told
    assert Path("asked/calibrated.json").read_bytes() == Path("recorded/calibrated.json").read_bytes()

    capsys.readouterr()
    known = ("validate", "--verdicts", VERDICTS, "--aggregate", "{use: calibrated, model: recorded}")
    assert jurist(*known, "--json", "known.json") == 0
    assert "It learnt from the prompts of 60 of these 60 items" in " ".join(capsys.readouterr().out.split())
    (rater, *_) = [
        each
        for each in json.loads(Path("known.json").read_text())["report"]["raters"]
        if each["name"] == "calibrated"
    ]
    assert (rater["saved"], rater["folds"], rater["seen"]) == (True, None, 60)

    saved = "stages.compare.aggregate=[{use: calibrated, model: recorded}]"
    assert jurist("run", "recipe.yaml", "--set", saved, "--out", "good") == 0
    other = "stages.compare.judges=[demo-strict, demo-friendly, {use: demo-brief, noise: 0.5}]"
    capsys.readouterr()
    assert jurist("run", "recipe.yaml", "--set", saved, "--set", other, "--out", "bad") == 2
    assert "stages.compare.aggregate.0: " in capsys.readouterr().err
    assert not Path("bad").exists()
