"""Judges beside each other, and beside people."""

from __future__ import annotations

import json
import math
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from jurist.aggregators.majority import MajorityVote
from jurist.intervals import Estimate, estimate, wilson
from jurist.records import Abstention, Comparison, Decision, Judgment, Prompt, Response
from jurist.stage_records import Judged
from jurist.stages.compare import preference_of
from jurist.validation.drift import Drift, JudgeDrift
from jurist.validation.labelled import LabelledItem, Vote
from jurist.validation.result import Thresholds, Validation
from jurist.validation.spot_check import SpotCheck
from jurist.validation.spot_check_result import CheckedStratum, SpotChecked
from jurist_review.calibration import AgainstPeople, of_trainer
from jurist_review.confusion import Confusion
from jurist_review.jury import winner
from jurist_review.label_changes import label_changes
from jurist_review.rows import Problems

ANSWERS = {
    "comparisons": 60, "asked": 120, "judgments": 100, "abstentions": 15, "failures": 5, "flips": 2,
    "refused": 3, "unparsed": 8,
}  # fmt: skip

PageOf = Callable[[Path], Any]


def said(*preferences: float | None) -> list[Judgment | Abstention]:
    names = "xyz"
    return [
        Abstention(source=names[n], reason="refused")
        if p is None
        else Judgment(preference=p, source=names[n])
        for n, p in enumerate(preferences)
    ]


def test_confusion_counts_verdicts_of_those_who_gave_one() -> None:
    confusion = Confusion()
    for outcomes in (said(0.9, 0.6, None), said(0.9, 0.2, 0.5), said(0.1, None, 0.5), said(0.5, 0.5, 0.5)):
        confusion.add(outcomes)
    by_judges = {pair.judges: pair for pair in confusion.pairs()}
    assert by_judges["x", "y"].counts == {("A", "A"): 1, ("A", "B"): 1, ("tie", "tie"): 1}
    assert by_judges["x", "z"].counts == {("A", "tie"): 1, ("B", "tie"): 1, ("tie", "tie"): 1}
    assert by_judges["y", "z"].both == 2
    assert by_judges["x", "y"].agreement == wilson(2 / 3, 3, 3)


def test_pairs_are_in_the_order_of_the_jury_whoever_was_silent_first() -> None:
    confusion = Confusion()
    for outcomes in (said(None, 0.6, 0.3), said(0.9, None, 0.5), said(0.1, 0.2, 0.5)):
        confusion.add(outcomes)
    assert [pair.judges for pair in confusion.pairs()] == [("x", "y"), ("x", "z"), ("y", "z")]


def test_kappa_is_that_of_scikit_learn() -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    draw = random.Random(5)
    votes = [(draw.choice((0.1, 0.5, 0.9)), draw.choice((0.1, 0.9, 0.9))) for _ in range(200)]
    confusion = Confusion()
    for pair in votes:
        confusion.add(said(*pair))
    (found,) = confusion.pairs()
    first, second = zip(*votes, strict=True)
    assert found.kappa == pytest.approx(
        metrics.cohen_kappa_score([str(v) for v in first], [str(v) for v in second])
    )
    same = Confusion()
    same.add(said(0.9, 0.9))
    assert same.pairs()[0].kappa is None


def test_a_tie_is_a_tie_however_an_aggregator_says_so() -> None:
    even = decided(1, 0.5, 0.9, 0.1)
    undecided = even.model_copy(update={"decision": Decision(status="set_aside", reason="tie")})
    assert [winner(each) for each in (even, undecided)] == ["a tie"] * 2
    changes = label_changes([even], [undecided], browsed=1000)
    assert (changes.shared, changes.changed) == (1, 0)


def test_what_the_judges_inside_a_judge_wrote_is_in_the_report(run_folder: Path, page_of: PageOf) -> None:
    path = run_folder / "stages/03-compare/judgments.jsonl"
    inner = {"preference": 0.9, "source": "inner"}
    halves = tuple(
        Judgment(
            preference=0.9,
            source="repeat",
            order=order,
            parts=(
                Judgment(**inner, order=order, rationale="the sun"),
                Judgment(**inner, order=order, rationale=f"{order}: the moon"),
            ),
        )
        for order in ("ab", "ba")
    )
    outcome = Judgment(preference=0.9, source="repeat", order="both", parts=halves)
    rows = [Judged.model_validate_json(line) for line in path.read_text().splitlines()]
    path.write_text("".join(row.model_copy(update={"outcomes": (outcome,)}).to_json() + "\n" for row in rows))
    assert page_of(run_folder).row("repeat")[-1] == "the sun ab: the moon ba: the moon"


def decided(number: int, probability: float, *votes: float) -> Judged:
    comparison = Comparison(
        prompt=Prompt.of(str(number)), response_a=Response(text="a"), response_b=Response(text="b")
    )
    return Judged(
        comparison=comparison,
        outcomes=tuple(said(*votes)),
        decision=Decision(status="decided", probability=probability),
    )


def test_calibration_weighs_strata_by_how_often_people_looked() -> None:
    """Each checked label written out as many times as it stands for, the means are plain ones."""
    unanimous = [decided(n, 0.92, 0.9, 0.9) for n in range(40)]
    contested = [decided(100 + n, 0.06, 0.9, 0.1) for n in range(10)]
    labels: dict[str, Any] = {each.comparison.id: "A" for each in unanimous[:4]}
    labels |= {each.comparison.id: label for each, label in zip(contested, "ABBA", strict=False)}
    labels[contested[4].comparison.id] = "tie"
    people = AgainstPeople(labels)
    for each in [*unanimous, *contested, decided(999, 0.5, 0.5)]:
        people.add(each)
    found = people.reliability("the jury")
    assert found is not None
    (bin,) = found.bins  # claims of 0.92 and 0.94 are in one bin
    # 4 checked stand for 40, all right; 5 for 10: wrong, right, right, wrong, half right.
    right = [1.0] * 40 + [0, 0, 1, 1, 1, 1, 0, 0, 0.5, 0.5]
    claimed = [0.92] * 40 + [0.94] * 10
    assert bin.right.mean == pytest.approx(sum(right) / 50)
    assert bin.claimed == pytest.approx(sum(claimed) / 50)
    assert found.ece == pytest.approx(abs(bin.claimed - bin.right.mean))
    effective = 50**2 / (4 * 10**2 + 5 * 2**2)
    assert bin.right == wilson(bin.right.mean, effective, 9)
    assert AgainstPeople({}).reliability("nobody") is None


def test_bins_are_by_claim_and_their_error_is_the_mean_gap() -> None:
    rows = [(0.55, True), (0.55, False), (0.55, False), (0.95, True), (1.0, True), (0.02, True)]
    items = [decided(n, p, p) for n, (p, _) in enumerate(rows)]
    labels: dict[str, Any] = {
        each.comparison.id: "A" if ((each.decision.probability or 0) > 0.5) == right else "B"
        for each, (_, right) in zip(items, rows, strict=True)
    }
    people = AgainstPeople(labels)
    for each in items:
        people.add(each)
    found = people.reliability("x")
    assert found is not None
    low, high = found.bins
    assert (low.claimed, low.right.n) == (pytest.approx(0.55), 3)
    assert low.right.mean == pytest.approx(1 / 3)
    assert (high.claimed, high.right.mean) == (pytest.approx((0.95 + 1 + 0.98) / 3), 1)
    assert found.ece == pytest.approx((abs(0.55 - 1 / 3) + abs(high.claimed - 1)) / 2)


def test_spot_checks_of_people_are_in_the_report(run_folder: Path, page_of: PageOf) -> None:
    folder = run_folder / "stages/03-compare"
    judged = [
        Judged.model_validate_json(line) for line in (folder / "judgments.jsonl").read_text().splitlines()
    ]
    kept = [p for p in map(preference_of, judged) if p is not None]
    (folder / "preferences.jsonl").write_text("".join(p.to_json() + "\n" for p in kept))
    check = SpotCheck(run_folder, "compare")
    drawn = check.sample(12, seed=1)
    given = [row.model_copy(update={"label": "B" if n % 3 == 0 else "A"}) for n, row in enumerate(drawn)]
    path = run_folder / "given.jsonl"
    path.write_text("".join(row.to_json() + "\n" for row in given))
    found = check.import_labels(path)
    page = page_of(run_folder)
    assert "People looked at 12 of 36 labels." in page.text
    assert found.accuracy is not None
    text = " ".join(page.text.split())
    assert f"They would give {found.accuracy.mean:.1%} [" in text
    assert f"the jury claims {found.claimed:.1%}." in text
    for stratum in found.strata:
        assert page.row(stratum.stratum)[:2] == [str(stratum.labels), str(stratum.checked)]
        assert page.row(stratum.stratum)[2] == f"{stratum.claimed:.1%}"
    assert "Calibration" in page.text
    ece, claimed, right = page.row("the jury")
    assert 0.5 < float(claimed) < 1
    assert right.endswith(tuple(f"n = {n}" for n in range(1, 13)))
    assert 0 <= float(ece) <= 1


def test_the_interval_of_a_share_ends_at_one(run_folder: Path, page_of: PageOf) -> None:
    right = Estimate(mean=0.9, low=0.75, high=1.05, n=10)  # as of labels of which some are ties
    stratum = CheckedStratum(stratum="mostly", labels=36, checked=10, claimed=0.7, right=right)
    check = SpotChecked(
        stage="compare",
        labels=36,
        checked=10,
        claimed=0.7,
        accuracy=right,
        strata=(stratum,),
        skipped=0,
        replaced=0,
    )
    (run_folder / "stages/03-compare/spot_check.json").write_text(check.to_json())
    page = page_of(run_folder)
    assert page.row("mostly") == ["36", "10", "70.0%", "90.0% [75.0%, 100.0%]"]
    assert "They would give 90.0% [75.0%, 100.0%] of all labels" in " ".join(page.text.split())


def test_the_calibration_of_a_trainer_is_drawn(run_folder: Path, page_of: PageOf) -> None:
    rows = [
        {"above": 0.5, "pairs": 30, "confidence": 0.55, "label": 0.65},
        {"above": 0.9, "pairs": 10, "confidence": 0.95, "label": 0.75},
        {"above": 0.95, "pairs": 0, "confidence": None, "label": None},
    ]
    path = run_folder / "stages/02-sft/calibration.json"
    path.write_text(json.dumps(rows[:2]))
    page = page_of(run_folder)
    assert page.row("sft")[:2] == ["0.125", "0.550"]  # (30 · 0.1 + 10 · 0.2) / 40
    found = of_trainer(path.parent, "sft", Problems())
    assert found is not None
    assert math.isclose(found.ece, 0.125)
    assert found.bins[1].right == wilson(0.75, 10, 10)
    problems = Problems()
    path.write_text(json.dumps(rows))
    assert of_trainer(path.parent, "sft", problems) is None
    assert "02-sft/calibration.json could not be read" in problems.lines[0]


def labelled_items() -> list[LabelledItem]:
    """Sixty items with the votes of a judge who is mostly right, and of one who is less often."""
    draw = random.Random(2)
    return [
        LabelledItem(
            item=str(n),
            label="A" if n % 2 else "B",
            response_a="yes",
            response_b="no, never",
            votes=tuple(
                Vote(
                    judge=judge,
                    verdict="A" if (n % 2 == 1) == (draw.random() < sure) else "B",
                    confidence=sure,
                )
                for judge, sure in (("x", 0.9), ("y", 0.7))
            ),
        )
        for n in range(60)
    ]


@pytest.fixture
def validated(run_folder: Path) -> Validation:
    """The same run with a validate stage, as jurist-validate measured it, and a judge that drifted."""
    validating = pytest.importorskip("jurist_validate.validating")
    items = labelled_items()
    measured: Validation = validating.validate(items, {"majority": MajorityVote}, "x", Thresholds(), 0)
    folder = run_folder / "stages/05-validate"
    folder.mkdir()
    (folder / "validation.json").write_text(json.dumps(measured.model_dump(mode="json")))
    drifted = JudgeDrift(
        judge="x", settings="same", compared=50, changed=20, share=estimate([1.0] * 20 + [0.0] * 30),
        chance=0.0001, moved=0.2, lost=9, won=2, right_chance=0.065,
    )  # fmt: skip
    drift = Drift(tolerated=0.05, judges=(drifted,))
    (folder / "drift.json").write_text(json.dumps(drift.model_dump(mode="json")))
    (folder / "summary.json").write_text(json.dumps({"items": 60, "judges": {"x": ANSWERS}}))
    recipe = yaml.safe_load((run_folder / "recipe.yaml").read_text())
    recipe["stages"].append(
        {"stage": "validate", "name": "validate", "labelled": "x.jsonl", "judges": ["x", "y"]}
    )
    (run_folder / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    state = json.loads((run_folder / "run.json").read_text())
    state["stages"].append({"name": "validate", "folder": "05-validate"})
    (run_folder / "run.json").write_text(json.dumps(state))
    return measured


def test_a_validation_is_shown_as_it_was_measured(
    run_folder: Path, page_of: PageOf, validated: Validation
) -> None:
    page = page_of(run_folder)
    assert validated.reason in page.text
    assert [*("x", "60", "120", "100", "15 unparsed 8 refused 3", "5", "2")] in [
        [" ".join(cell.split()) for cell in row] for row in page.rows
    ]
    items = labelled_items()
    right = sum((item.votes[0].verdict == item.label) for item in items)
    rows = [[" ".join(cell.split()) for cell in row] for row in page.rows]
    (row,) = [row for row in rows if row[:2] == ["x", "judge"]]
    assert row[2].startswith(f"{right / 60:.3f} [")
    (moved,) = [row for row in rows if row[:2] == ["x", "drifted"]]
    assert moved[2:5] == ["same", "50", "0.400 [0.276, 0.538] n = 50"]
    assert moved[5:] == ["1.00e−04", "0.200", "2", "9"]
    kappa = next(p["cohen"]["mean"] for p in validated.report["jury"]["pairwise"])
    (pair,) = [row for row in rows if row[:1] == ["x, y"]]
    assert pair[1].startswith(f"{kappa:.3f}".replace("-", "−"))
    claimed = [row for row in rows if row[:1] == ["x"] and len(row) == 4]
    assert [row[2] for row in claimed] == ["0.900"]
    assert claimed[0][3].startswith(f"{right / 60:.3f}")
