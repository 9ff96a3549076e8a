"""Spot checks: what is drawn, what is read back, and whether the estimate holds what it says."""

from __future__ import annotations

import json
import math
import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest
from pydantic import Field

from jurist.contracts import Judge
from jurist.errors import UsageError
from jurist.options import Options
from jurist.recipe import Recipe
from jurist.records import Abstention, Comparison, Decision, JudgeOutcome, Judgment, Prompt, Response
from jurist.run import run
from jurist.selection import versions_of
from jurist.stage_records import Judged
from jurist.validation.corrected import Stratum, corrected_share
from jurist.validation.labelled import load_labelled
from jurist.validation.spot_check import SpotCheck
from jurist.validation.strata import allocation, stratum_of

Rows = Callable[[Path], list[Any]]

SIZE = 60


class HashedOptions(Options):
    """``sure``: the claim. ``wrong_on``: the prompts on which it prefers B."""

    sure: float = Field(default=0.9, ge=0.5, le=1)
    wrong_on: tuple[str, ...] = ()


class Hashed(Judge):
    """Prefers "good", except on some prompts."""

    Options = HashedOptions
    options: HashedOptions
    capabilities = frozenset({"symmetric"})
    free = True

    async def judge(self, comparison: Comparison, principles: Sequence[Any]) -> JudgeOutcome:
        wrong = comparison.prompt.messages[0].content in self.options.wrong_on
        for_a = ("good" in comparison.response_a.text) != wrong
        return Judgment(preference=self.options.sure if for_a else 1 - self.options.sure)


JURY = [
    {"use": "hashed", "name": "one"},
    {"use": "hashed", "name": "two", "wrong_on": [f"{n}?" for n in range(6)]},
    {"use": "hashed", "name": "three", "wrong_on": [f"{n}?" for n in range(3)]},
]


def recipe(source: Any, folder: Path, *more: dict[str, Any]) -> Recipe:
    source.offer("judge", "hashed", f"{__name__}:Hashed")
    pairs = [{"prompt": f"{n}?", "response_a": f"good {n}", "response_b": f"bad {n}"} for n in range(SIZE)]
    path = folder / "pairs.jsonl"
    path.write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    stage = {"stage": "compare", "pairs": str(path), "judges": JURY, "principles": "none"}
    return Recipe.of({"stages": [stage, *more]})


@pytest.fixture
def done(source: Any, tmp_path: Path) -> Path:
    """The folder of a run with 60 labels: 54 unanimous, three two to one, three one to two, so wrong."""
    run(recipe(source, tmp_path), tmp_path / "run", source)
    return tmp_path / "run"


def labelled(rows: Sequence[Any], path: Path, label: Callable[[Any], str | None]) -> Path:
    """The rows as a person would hand them back."""
    texts = (json.dumps({**row.model_dump(), "label": label(row)}) for row in rows)
    path.write_text("".join(f"{text}\n" for text in texts))
    return path


def truth(row: Any) -> str:
    return "A" if "good" in row.response_a else "B"


# --- what is drawn -----------------------------------------------------------------------------------


def test_what_the_jury_disagreed_on_is_drawn_more_often(done: Path) -> None:
    rows = SpotCheck(done).sample(20)
    drawn = Counter(row.stratum for row in rows)
    assert drawn == {"unanimous": 15, "mostly": 5}
    assert {row.label for row in rows} == {None}
    assert {row.probability for row in rows if row.stratum == "unanimous"} == {15 / 54}
    assert len({row.item for row in rows}) == 20
    assert rows == SpotCheck(done).sample(20)
    assert rows != SpotCheck(done).sample(20, seed=1)


@pytest.mark.parametrize(
    ("sizes", "total", "numbers"),
    [
        ({"a": 10_000, "b": 100}, 115, {"a": 105, "b": 10}),
        ({"a": 10_000, "b": 3}, 20, {"a": 17, "b": 3}),
        ({"a": 4, "b": 3}, 20, {"a": 4, "b": 3}),
        ({"a": 1000, "b": 10}, 10, {"a": 5, "b": 5}),
        ({"a": 1000, "b": 10}, 2, {"a": 1, "b": 1}),
    ],
)
def test_each_stratum_gets_five_and_then_by_the_root_of_its_size(
    sizes: dict[str, int], total: int, numbers: dict[str, int]
) -> None:
    assert allocation(sizes, total) == numbers


def both(ab: float, ba: float) -> Judgment:
    parts = (Judgment(preference=ab, order="ab"), Judgment(preference=ba, order="ba"))
    return Judgment(preference=(ab + ba) / 2, order="both", parts=parts)


@pytest.mark.parametrize(
    ("outcomes", "stratum"),
    [
        ((), "filter"),
        ((Judgment(preference=0.6),), "unanimous"),
        ((both(0.9, 0.6), both(0.7, 1.0)), "unanimous"),
        ((both(0.9, 0.6), both(0.7, 0.2)), "mostly"),
        ((both(0.9, 0.4),), "contested"),
        ((Judgment(preference=0.9), Judgment(preference=0.5), Judgment(preference=0.9)), "mostly"),
        ((Judgment(preference=0.9), Abstention(reason="unparsed")), "contested"),
    ],
)
def test_the_stratum_is_how_much_of_the_jury_was_for_the_label(
    outcomes: tuple[JudgeOutcome, ...], stratum: str
) -> None:
    for swapped in (False, True):
        comparison = Comparison(
            prompt=Prompt.of("?"), response_a=Response(text="a"), response_b=Response(text="b")
        )
        decision = Decision(status="decided", probability=0.2 if swapped else 0.8)
        said = tuple(_swapped(outcome) if swapped else outcome for outcome in outcomes)
        assert stratum_of(Judged(comparison=comparison, outcomes=said, decision=decision)) == stratum


def _swapped(outcome: JudgeOutcome) -> JudgeOutcome:
    if not isinstance(outcome, Judgment):
        return outcome
    parts = tuple(_swapped(part) for part in outcome.parts)
    return outcome.model_copy(update={"preference": 1 - outcome.preference, "parts": parts})


def test_a_sample_looks_at_every_stratum_and_at_nothing_twice(done: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="cannot look at each of 2 strata"):
        SpotCheck(done).sample(1)
    first = SpotCheck(done).sample(20)
    SpotCheck(done).import_labels(labelled(first, tmp_path / "first.jsonl", truth))
    second = SpotCheck(done).sample(SIZE)
    assert len(second) == SIZE - 20
    assert not {row.item for row in first} & {row.item for row in second}
    SpotCheck(done).import_labels(labelled(second, tmp_path / "second.jsonl", truth))
    with pytest.raises(UsageError, match="everything already"):
        SpotCheck(done).sample(10)


# --- what is read back -------------------------------------------------------------------------------


def test_labels_of_people_come_back_as_an_estimate_and_as_labelled_items(
    done: Path, source: Any, tmp_path: Path
) -> None:
    check = SpotCheck(done)
    found = check.import_labels(labelled(check.sample(SIZE), tmp_path / "labels.jsonl", truth))
    assert (found.labels, found.checked, found.skipped, found.stage) == (60, 60, 0, "compare")
    # All were looked at, so the share is exact: the jury was outvoted by its mistaken majority three times.
    assert found.accuracy is not None
    assert (found.accuracy.mean, found.accuracy.low, found.accuracy.high) == pytest.approx((0.95,) * 3)
    parts = {part.stratum: (part.labels, part.right and part.right.mean) for part in found.strata}
    assert parts == {"unanimous": (54, 1.0), "mostly": (6, 0.5)}
    folder = done / "stages/01-compare"
    assert json.loads((folder / "spot_check.json").read_text()) == found.model_dump(mode="json")
    items = {item.prompt[0].content: item for item in load_labelled(folder / "human_labels.jsonl")}
    assert len(items) == SIZE
    assert [vote.verdict for vote in items["4?"].votes] == ["A", "B", "A"]
    versions = {
        name: f"{v}: both orders, average; no principles" for name, v in versions_of(JURY, source).items()
    }
    assert {vote.judge: vote.version for vote in items["4?"].votes} == versions


def test_rows_without_a_label_wait_and_newer_labels_count(done: Path, tmp_path: Path) -> None:
    check = SpotCheck(done)
    rows = sorted(check.sample(20), key=lambda row: row.stratum)
    only_mostly = labelled(rows, tmp_path / "a.jsonl", lambda r: "tie" if r.stratum == "mostly" else None)
    found = check.import_labels(only_mostly)
    assert (found.checked, found.skipped, found.accuracy) == (5, 15, None)
    assert found.strata[1].right is not None
    assert found.strata[1].right.mean == 0.5
    assert found.replaced == 0
    found = check.import_labels(labelled(rows, tmp_path / "b.jsonl", lambda r: "B"))
    assert (found.checked, found.replaced) == (20, 5)
    assert check.import_labels(tmp_path / "b.jsonl").replaced == 0  # they are what they were
    assert found.accuracy is not None
    assert {item.label for item in load_labelled(check.labels_file)} == {"B"}
    with pytest.raises(UsageError, match="has no labels yet"):
        check.import_labels(labelled(rows, tmp_path / "c.jsonl", lambda r: None))


def test_labels_outlast_the_stage_and_are_not_asked_for_again(
    done: Path, source: Any, tmp_path: Path
) -> None:
    check = SpotCheck(done)
    first = check.sample(20)
    check.import_labels(labelled(first, tmp_path / "first.jsonl", truth))
    texts = (tmp_path / "pairs.jsonl").read_text().splitlines(keepends=True)
    (tmp_path / "pairs.jsonl").write_text("".join(texts[:40]))
    fewer = Recipe.of({"stages": [{**recipe(source, tmp_path).stages[0].model_dump(), "judges": JURY[:1]}]})
    (tmp_path / "pairs.jsonl").write_text("".join(texts[:40]))
    run(fewer, done, source)
    again = SpotCheck(done)
    assert not again.labels_file.exists()
    known = {row.item for row in first}
    rest = again.sample(SIZE)
    fitting = sum(row["comparison_id"] in known for row in map(json.loads, _lines(again)))
    assert 0 < fitting < 20
    assert len(rest) == 40 - fitting
    assert not known & {row.item for row in rest}
    found = again.import_labels(labelled(rest[:10], tmp_path / "second.jsonl", truth))
    assert found.checked == fitting + 10
    assert {vote.judge for item in load_labelled(again.labels_file) for vote in item.votes} == {"one"}
    kept = load_labelled(done / "human_labels.jsonl")
    assert len(kept) == 30  # those of comparisons that are made no more, too
    assert not any(item.votes for item in kept)
    run(recipe(source, tmp_path), done, source)
    assert len(SpotCheck(done).sample(SIZE)) == SIZE - 30


def _lines(check: SpotCheck) -> list[str]:
    return (check.folder / "preferences.jsonl").read_text().splitlines()


def test_every_faulty_row_is_listed_and_nothing_is_kept(done: Path, tmp_path: Path) -> None:
    check = SpotCheck(done)
    good, other, changed, third = (row.model_dump() for row in check.sample(20)[:4])
    bad = [
        {**good, "label": "A"},
        {**good, "label": "B"},
        {**other, "label": "C"},
        {**other, "item": "elsewhere", "label": "A"},
        {**changed, "response_a": "something else", "label": "A"},
        {"item": third["item"]},
    ]
    path = tmp_path / "bad.jsonl"
    path.write_text("".join(json.dumps(row) + "\n" for row in bad) + "not JSON\n")
    with pytest.raises(UsageError) as error:
        check.import_labels(path)
    for fault in (
        "bad.jsonl:2: ",
        "has two different labels",
        "bad.jsonl:3.label",
        "bad.jsonl:4: the stage 'compare' labelled no comparison 'elsewhere'",
        "bad.jsonl:5: the responses of",
        "bad.jsonl:6.prompt: required",
        "bad.jsonl:7: not JSON",
    ):
        assert fault in str(error.value)
    assert not check.labels_file.exists()
    assert not check.all_labels_file.exists()


def test_the_stage_is_found_or_asked_for(source: Any, done: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not the folder of a run"):
        SpotCheck(tmp_path)
    with pytest.raises(UsageError, match=r"no finished stage 'compar' .*did you mean 'compare'"):
        SpotCheck(done, "compar")
    again = {"stage": "compare", "name": "again", "pairs": str(tmp_path / "pairs.jsonl"), "judges": JURY}
    run(recipe(source, tmp_path, again), tmp_path / "two", source)
    with pytest.raises(UsageError, match=r"2 stages give labels: compare, again\n.*--stage NAME"):
        SpotCheck(tmp_path / "two")
    assert SpotCheck(tmp_path / "two", "again").folder.name == "02-again"


# --- whether the estimate holds what it says -----------------------------------------------------------


def test_the_estimate_by_hand() -> None:
    half = Stratum(size=100, claimed=0.9, checked=[(1, 0.9)] * 4 + [(0, 0.9)] * 4)
    sure = Stratum(size=300, claimed=0.9, checked=[(1, 0.9)] * 10)
    found = corrected_share([half, sure])
    # Claims that are all alike explain nothing, so this is the stratified mean: 0.25 * 0.5 + 0.75 * 1.
    assert found.mean == pytest.approx(0.875)
    # Variances with one right and one wrong label put in: 5 of 10 right, and 11 of 12.
    spread = 0.25**2 * 0.92 * (10 * 0.25 / 9) / 8 + 0.75**2 * (29 / 30) * (12 * (11 / 144) / 11) / 10
    assert found.mean - found.low == pytest.approx(1.959964 * math.sqrt(spread), rel=1e-6)
    assert found.high == 1
    assert found.n == 18


def test_claims_that_tell_right_from_wrong_make_the_interval_shorter() -> None:
    draw = random.Random(0)
    claims = [draw.choice((0.55, 0.95)) for _ in range(2000)]
    right = [float(draw.random() < claim) for claim in claims]
    telling = Stratum(2000, fmean(claims), list(zip(right, claims, strict=True))[:200])
    silent = Stratum(2000, 0.75, [(value, 0.75) for value in right[:200]])
    widths = [found.high - found.low for found in map(corrected_share, ([telling], [silent]))]
    assert widths[0] < 0.95 * widths[1]
    with pytest.raises(ValueError, match="needs a checked label"):
        corrected_share([telling, Stratum(10, 0.5, [])])


POPULATIONS = {
    "calibrated": ([4000, 800, 200], [0.95, 0.8, 0.6], lambda draw, right: right),
    "overconfident": ([4000, 800, 200], [0.9, 0.7, 0.5], lambda draw, right: 0.99),
    "random": ([900, 300, 100], [0.9, 0.75, 0.5], lambda draw, right: draw.uniform(0.5, 1)),
    "nearly all right": ([4000, 800, 200], [0.995, 0.95, 0.8], lambda draw, right: 0.9),
    "small": ([60, 30, 10], [0.9, 0.7, 0.6], lambda draw, right: right),
}


@pytest.mark.parametrize("name", POPULATIONS)
def test_intervals_hold_the_truth_and_the_plain_share_of_the_sample_does_not(name: str) -> None:
    sizes, shares, claim = POPULATIONS[name]
    draw = random.Random(name)
    strata = []
    for size, share in zip(sizes, shares, strict=True):
        chances = [min(0.999, max(0.5, draw.betavariate(8 * share, 8 * (1 - share)))) for _ in range(size)]
        strata.append([(float(draw.random() < p), claim(draw, p)) for p in chances])
    truth = fmean(right for stratum in strata for right, _ in stratum)
    total = min(100, 4 * sum(sizes) // 10)
    numbers = allocation({str(number): len(stratum) for number, stratum in enumerate(strata)}, total)
    claimed = [fmean(claim for _, claim in stratum) for stratum in strata]
    held = 0
    estimates, plain = [], []
    for _ in range(500):
        samples = [draw.sample(s, n) for s, n in zip(strata, numbers.values(), strict=True)]
        parts = zip(strata, claimed, samples, strict=True)
        found = corrected_share([Stratum(len(s), mean, sample) for s, mean, sample in parts])
        held += found.low <= truth <= found.high
        estimates.append(found.mean)
        plain.append(fmean(right for sample in samples for right, _ in sample))
    assert held >= 0.93 * 500
    assert fmean(estimates) == pytest.approx(truth, abs=0.007)
    if name != "small":
        assert truth - fmean(plain) > 0.01  # the sample is full of what is hard
