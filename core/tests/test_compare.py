"""The compare stage with every pairing: which labels come of it, what is counted, what a plan foresees."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import pytest

from jurist.constitution import Principle
from jurist.contracts import Judge
from jurist.events import Events
from jurist.options import Options
from jurist.planning.planner import plan
from jurist.recipe import Recipe
from jurist.records import Abstention, Comparison, JudgeOutcome, Judgment
from jurist.run import run
from jurist.run_directory import Run
from jurist.stages.pairing import PAIRINGS
from jurist.stages.triads import Triads

Write = Callable[..., str]
Rows = Callable[[Path], list[Any]]


class PlacesOptions(Options):
    """``circle``: each number beats the next one and that after it, of five; ``silent``: about these two."""

    circle: bool = False
    silent: tuple[str, ...] = ()


class Places(Judge):
    """Responses are numbers, and the smaller is the better."""

    Options = PlacesOptions
    options: PlacesOptions

    async def judge(self, comparison: Comparison, principles: Sequence[Principle]) -> JudgeOutcome:
        shown = comparison.response_a.text, comparison.response_b.text
        if set(shown) <= set(self.options.silent):
            return Abstention(reason="unparsed")
        first, second = map(int, shown)
        first_is_better = (second - first) % 5 in (1, 2) if self.options.circle else first < second
        return Judgment(preference=0.9 if first_is_better else 0.1)


class Steps(Events):
    """Keeps the total of the stage and the outcomes that were counted towards it."""

    def __init__(self) -> None:
        super().__init__()
        self.total: int | None = None
        self.outcomes: Counter[str] = Counter()

    def stage_started(self, stage: str, total: int | None) -> None:
        self.total = total

    def outcome(self, stage: str, outcome: str) -> None:
        self.outcomes[outcome] += 1


@pytest.fixture
def places(source: Any) -> Any:
    """The fakes and the judge above."""
    source.offer("judge", "places", f"{__name__}:Places")
    return source


def recipe(
    prompts: str,
    replies: Sequence[Any],
    pairing: str,
    judge: Any = "places",
    orders: Literal["both", "one"] = "both",
) -> Recipe:
    generator = {"use": "chat", "replies": [str(reply) for reply in replies]}
    stage = {"stage": "compare", "samples": len(replies), "generator": generator, "judges": [judge]}
    return Recipe.of(
        {
            "prompts": prompts,
            "stages": [{**stage, "pairing": pairing, "principles": "none", "orders": orders}],
        }
    )


def compare(wanted: Recipe, folder: Path, source: Any) -> tuple[Run, Steps]:
    """A run, whose progress has reached its total."""
    steps = Steps()
    done = run(wanted, folder, source, events=steps)
    assert steps.outcomes.total() == steps.total
    return done, steps


def texts(row: Any) -> tuple[str, str]:
    return row["chosen"][0]["content"], row["rejected"][0]["content"]


@pytest.mark.parametrize("seed", range(3))
def test_every_comparison_of_a_tournament_is_a_label_and_together_they_rank(
    seed: int, places: Any, write_rows: Write, rows: Rows, tmp_path: Path
) -> None:
    replies = random.Random(seed).sample(range(8), 8)
    done, steps = compare(recipe(write_rows("p"), replies, "tournament"), tmp_path / "run", places)
    folder, summary = done.stages[0].folder, done.stages[0].summary
    labels = [texts(row) for row in rows(folder / "preferences.jsonl")]
    assert all(int(chosen) < int(rejected) for chosen, rejected in labels)
    assert {(str(place), str(place + 1)) for place in range(7)} <= set(labels)  # no other ranking fits these
    assert len(set(labels)) == len(labels) == summary["comparisons"] <= 17
    assert steps.total == 17
    assert steps.outcomes == Counter(preferred=len(labels), unneeded=17 - len(labels))
    assert (summary["decisions"], summary["cycles"]) == ({"preferred": len(labels)}, 0)


def test_labels_of_best_are_about_the_best_alone_and_the_knock_out_is_accounted_for(
    places: Any, write_rows: Write, rows: Rows, tmp_path: Path
) -> None:
    done, steps = compare(recipe(write_rows("p"), [3, 1, 4, 0, 2], "best"), tmp_path / "run", places)
    folder, summary = done.stages[0].folder, done.stages[0].summary
    assert sorted(map(texts, rows(folder / "preferences.jsonl"))) == [("0", str(n)) for n in range(1, 5)]
    aside = rows(folder / "set_aside.jsonl")
    assert {row["reason"] for row in aside} == {"knock_out"}
    judged = rows(folder / "judgments.jsonl")
    assert len(judged) == summary["comparisons"] == 4 + len(aside) == PAIRINGS["best"].most(5) - 1
    assert summary["decisions"] == {"preferred": 4, "knock_out": len(aside)}
    assert steps.outcomes["unneeded"] == 1
    ids = {
        row["comparison"]["response_a"]["text"] + row["comparison"]["response_b"]["text"] for row in judged
    }
    assert len(ids | {text[::-1] for text in ids}) == 2 * len(judged)


@pytest.mark.parametrize("pairing", ["best", "tournament"])
def test_abstentions_end_no_pairing_and_become_no_label(
    pairing: str, places: Any, write_rows: Write, rows: Rows, tmp_path: Path
) -> None:
    wanted = recipe(write_rows("p", "q"), range(6), pairing, "silent")
    done, steps = compare(wanted, tmp_path / "run", places)
    most = 2 * PAIRINGS[pairing].most(6)
    assert rows(done.stages[0].folder / "preferences.jsonl") == []
    assert {row["reason"] for row in rows(done.stages[0].folder / "set_aside.jsonl")} == {"no_votes"}
    assert done.stages[0].summary["decisions"] == steps.outcomes == {"no_votes": most}


def test_one_abstention_costs_one_label(places: Any, write_rows: Write, rows: Rows, tmp_path: Path) -> None:
    judge = {"use": "places", "silent": ["3", "4"]}
    wanted = recipe(write_rows("p"), range(6), "tournament", judge)
    done, _ = compare(wanted, tmp_path / "run", places)
    labels = {texts(row) for row in rows(done.stages[0].folder / "preferences.jsonl")}
    assert labels >= {("0", "1"), ("1", "2"), ("2", "3"), ("4", "5")}
    assert ("3", "4") not in labels
    assert done.stages[0].summary["decisions"]["no_votes"] == 1


@pytest.mark.parametrize(
    ("pairing", "unpaired"), [("all", 9), ("adjacent", 2), ("best", 4), ("tournament", 6)]
)
def test_equal_and_empty_texts_are_compared_with_nothing(
    pairing: str, unpaired: int, places: Any, write_rows: Write, tmp_path: Path
) -> None:
    wanted = recipe(write_rows("p"), [3, 1, 1, " ", 2, 0], pairing)
    done, steps = compare(wanted, tmp_path / "run", places)
    summary = done.stages[0].summary
    assert summary["decisions"]["unpaired"] == unpaired
    made = summary["comparisons"]
    assert made + steps.outcomes["unneeded"] == PAIRINGS[pairing].most(4)
    assert sum(summary["decisions"].values()) == made + unpaired


def test_nothing_to_compare_is_no_error(places: Any, write_rows: Write, tmp_path: Path) -> None:
    for pairing in PAIRINGS:
        for replies in (["same"] * 3, [" "] * 3):
            folder = tmp_path / f"{pairing}{replies[0]}"
            done, _ = compare(recipe(write_rows("p"), replies, pairing), folder, places)
            most = PAIRINGS[pairing].most(3)
            assert done.stages[0].summary["decisions"] == {"unpaired": most}


@pytest.mark.parametrize(("circle", "cycles"), [(True, 5), (False, 0)])
def test_cycles_are_counted_among_the_triads(
    circle: bool, cycles: int, places: Any, write_rows: Write, tmp_path: Path
) -> None:
    """The regular tournament of five has the most cyclic triads, five of ten."""
    judge = {"use": "places", "circle": circle}
    done, _ = compare(recipe(write_rows("p", "q"), range(5), "all", judge), tmp_path / "run", places)
    summary = done.stages[0].summary
    assert (summary["triads"], summary["cycles"]) == (20, 2 * cycles)


@pytest.mark.parametrize("count", range(3, 8))
def test_triads_agree_with_looking_at_each(count: int) -> None:
    rng = random.Random(count)
    for _ in range(50):
        verdicts = [rng.sample(pair, 2) for pair in combinations(range(count), 2) if rng.random() < 0.8]
        given = {(one, other) for one, other in verdicts}
        met = given | {(other, one) for one, other in given}
        total = cyclic = 0
        for a, b, c in combinations(range(count), 3):
            total += {(a, b), (b, c), (a, c)} <= met
            cyclic += {(a, b), (b, c), (c, a)} <= given or {(b, a), (c, b), (a, c)} <= given
        assert Triads.among(given) == (total, cyclic)


FEWEST = {"best": {2: 1, 3: 2, 5: 5, 6: 7, 8: 11}, "tournament": {2: 1, 3: 2, 5: 5, 6: 7, 8: 12}}


@pytest.mark.parametrize("count", [2, 3, 5, 6, 8])
@pytest.mark.parametrize("pairing", ["best", "tournament"])
def test_a_plan_knows_the_fewest_and_the_most_comparisons(
    pairing: str, count: int, places: Any, write_rows: Write, tmp_path: Path
) -> None:
    prompts = write_rows("p", "q")

    def asked(judge: Any, replies: Sequence[int], name: str) -> tuple[float, float, float]:
        wanted = recipe(prompts, replies, pairing, judge, "one")
        planned = plan(wanted, places).stages[0]
        assert planned.comparisons == 2 * PAIRINGS[pairing].most(count)
        (judging,) = (one for one in planned.components if one.role == "judge")
        done, _ = compare(wanted, tmp_path / name, places)
        return judging.calls.low, done.stages[0].summary["comparisons"], judging.calls.high

    low, made, high = asked("places", random.Random(count).sample(range(count), count), "between")
    assert 2 * FEWEST[pairing][count] == low <= made <= high
    assert asked("places", range(count), "most") == (low, high, high)
    assert high == 2 * PAIRINGS[pairing].most(count)


ANOTHER, YET_ANOTHER = ({"use": "places", "silent": [text]} for text in ("x", "y"))
"""They say the same as ``places`` does, but are asked for themselves."""


def in_turn(prompts: str, *judges: Any) -> Recipe:
    stage = {
        "stage": "compare",
        "generator": {"use": "chat", "replies": ["1", "2"]},
        "judges": [{"name": f"judge-{number}", **judge} for number, judge in enumerate(judges)],
        "ask": "in_turn",
        "aggregate": [{"use": "confidence", "threshold": 0.75}, "majority"],
        "principles": "none",
        "orders": "one",
    }
    return Recipe.of({"prompts": prompts, "stages": [stage]})


@pytest.mark.parametrize(
    ("judges", "asked", "decided_by"),
    [
        ([{"use": "places"}, ANOTHER, YET_ANOTHER], 1, "confidence"),
        ([{"use": "constant", "preference": 0.5}, {"use": "places"}, ANOTHER], 3, "confidence"),
        ([{"use": "places", "silent": ["1", "2"]}, {"use": "places"}, ANOTHER], 2, "confidence"),
        ([{"use": "places", "silent": ["1", "2"]}, {"use": "constant", "preference": 0.5}], 2, None),
    ],
)
def test_judges_in_turn_are_asked_until_the_first_aggregator_decides(
    judges: list[Any],
    asked: int,
    decided_by: str | None,
    places: Any,
    write_rows: Write,
    rows: Rows,
    tmp_path: Path,
) -> None:
    wanted = in_turn(write_rows("p", "q"), *judges)
    done, _ = compare(wanted, tmp_path / "run", places)
    judged = rows(done.stages[0].folder / "judgments.jsonl")
    names = [[outcome["source"] for outcome in row["outcomes"]] for row in judged]
    assert names == [[f"judge-{number}" for number in range(asked)]] * 2
    assert list(done.stages[0].summary["judges"]) == names[0]
    labels = rows(done.stages[0].folder / "preferences.jsonl")
    assert {label["aggregator"] for label in labels} == ({decided_by} if decided_by else set())
    planned = [one.calls for one in plan(wanted, places).stages[0].components if one.role == "judge"]
    assert [calls.high for calls in planned] == [2] * len(judges)
    assert [calls.low for calls in planned] == [2] + [0] * (len(judges) - 1)
