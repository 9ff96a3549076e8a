"""The parts of the report, one by one."""

from __future__ import annotations

import math
import random
from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jurist.intervals import wilson
from jurist.records import Abstention, Critique, Finding, Prompt, Response, Step, Trajectory
from jurist.stage_records import Evaluated
from jurist_review import trajectories
from jurist_review.browsing import Browser
from jurist_review.calibration import Bin, Reliability
from jurist_review.charts import confusion_chart, interval_chart, label, reliability_chart, rounds_chart
from jurist_review.confusion import Pair
from jurist_review.curves import MOST_POINTS, curves
from jurist_review.differences import differences
from jurist_review.display import counted, dollars, duration, excerpt, number, visible
from jurist_review.evaluations import SAMPLES, examples
from jurist_review.selection import Selection
from jurist_review.trajectories import Repaired, Round, Trajectories


@settings(deadline=None)
@given(st.text(max_size=80), st.text(max_size=80))
def test_differences_make_up_both_texts(before: str, after: str) -> None:
    left, right = differences(before, after)
    assert "".join(piece.text for piece in left) == before
    assert "".join(piece.text for piece in right) == after
    same = ["".join(piece.text for piece in side if not piece.changed) for side in (left, right)]
    assert same[0] == same[1]


def test_differences_are_of_words_and_of_single_chinese_characters() -> None:
    left, right = differences("The desk opens late.", "The desk closes late.")
    assert [piece.text for piece in left if piece.changed] == ["opens"]
    assert [piece.text for piece in right if piece.changed] == ["closes"]
    left, right = differences("I can not help with that.", "I can not share the salary.")
    assert [piece.text for piece in left if piece.changed] == ["help with that"]
    assert [piece.text for piece in right if piece.changed] == ["share the salary"]
    left, right = differences("柜台九点开门。", "柜台八点开门。")
    assert [piece.text for piece in left if piece.changed] == ["九"]
    assert [piece.text for piece in right if piece.changed] == ["八"]


@given(st.text())
def test_visible_text_holds_nothing_unseen(text: str) -> None:
    shown = visible(text + "\u202e\x00\ufeff\ud800\U000e0041")
    shown.encode("utf-8")
    assert not set(shown) & set("\u202e\u2066\x00\x1b\ufeff\u200b\u200f")
    assert visible(shown) == shown


def test_blank_letters_and_variants_are_visible_but_not_what_joins_letters() -> None:
    for character in "\u3164\u115f\u1160\uffa0\u034f\u180e\u17b4\u17b5\u2800\U000e0100\U000e01ef":
        assert visible(f"a{character}b") == f"a⟨U+{ord(character):04X}⟩b"
    joined = "می\u200cخواهم 👩\u200d🚀 ❤\ufe0f"
    assert visible(joined) == joined


def test_excerpts_say_how_much_is_missing() -> None:
    assert excerpt("abcdef", 4).text == "abcd"
    assert excerpt("abcdef", 4).omitted == 2
    assert excerpt("abc", 4).omitted == 0
    assert visible("line\n\tnext") == "line\n\tnext"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (1234567, "1,234,567"), (0.5, "0.500"), (-0.25, "−0.250"),
        (-0.00075, "−7.50e−04"), (0.00012, "1.20e−04"),
        (27.49, "27.5"), (12345.0, "12,345"), (7.0, "7"), (1.0, "1.000"),
        (math.inf, "∞"), (math.nan, "–"), (0.0, "0.000"),
    ],
)  # fmt: skip
def test_numbers(value: float, text: str) -> None:
    assert number(value) == text


def test_amounts_and_durations() -> None:
    assert [dollars(v) for v in (0, 0.00123, 1234.5)] == ["$0.00", "$0.0012", "$1,234.50"]
    assert dollars(7e-6) == "<$0.0001"
    assert [duration(v) for v in (3.14, 61, 7325)] == ["3.1 s", "1 min 1 s", "2 h 2 min"]


@given(st.lists(st.tuples(st.sampled_from("ab"), st.text(max_size=4)), unique=True), st.randoms())
def test_a_selection_does_not_depend_on_the_order(
    items: list[tuple[str, str]], shuffler: random.Random
) -> None:
    chosen = []
    for _ in range(2):
        selection = Selection[tuple[str, str]](3)
        for group, key in items:
            selection.offer(group, key, (group, key))
        chosen.append((selection.preferring("ba"), selection.in_turn()))
        items = list(items)
        shuffler.shuffle(items)
    assert chosen[0] == chosen[1]
    preferred, in_turn = chosen[0]
    assert (
        len(preferred)
        == len(in_turn)
        == min(3, sum(min(3, sum(g == group for g, _ in items)) for group in "ab"))
    )
    assert preferred == sorted(preferred, key=lambda item: item[0], reverse=True)
    assert len({group for group, _ in in_turn}) == min(len(in_turn), len({group for group, _ in items}))


def test_long_curves_are_thinned_and_keep_extremes_ends_and_rare_metrics() -> None:
    rows = [{"step": step, "loss": 1 / step, "lr": 0.1} for step in range(1, 10_001)]
    rows[4567]["loss"] = 99.0
    rows[-1]["eval_loss"] = 0.3
    by_name = {curve.name: curve for curve in curves(rows)}
    assert list(by_name) == ["loss", "eval_loss", "lr"]
    assert by_name["loss"].count == 10_000
    assert MOST_POINTS / 2 <= len(by_name["loss"].line) <= MOST_POINTS + 1
    assert by_name["loss"].line[0] == (1, 1.0)
    assert by_name["loss"].line[-1] == (10_000, 1 / 10_000)
    assert by_name["loss"].high == 99.0
    gaps = {b[0] - a[0] for a, b in pairwise(by_name["loss"].points)}
    assert len(gaps) == 1
    assert by_name["eval_loss"].line == [(10_000, 0.3)]
    assert not by_name["lr"].varies


def test_what_tells_most_about_a_training_comes_first() -> None:
    names = [
        "step_time",
        "raw_reward",
        "completions/mean_length",
        "kl",
        "held_out_reward",
        "reward",
        "held_out_metric",
    ]
    assert [curve.name for curve in curves([dict.fromkeys(names, 1.0)])] == [
        *(
            "reward",
            "raw_reward",
            "held_out_metric",
            "kl",
            "held_out_reward",
            "completions/mean_length",
            "step_time",
        )
    ]


def test_values_that_are_no_numbers_are_counted_and_not_drawn() -> None:
    (loss,) = curves(
        [{"loss": 1.0}, {"loss": math.nan}, {"loss": "high"}, {"loss": True}, {"loss": math.inf}]
    )
    assert loss.line == [(1, 1.0)]
    assert loss.not_finite == 2
    assert loss.varies


def test_a_trajectory_that_ended_early_is_known_in_no_later_round() -> None:
    bad = Critique(findings=(Finding(principle="p", satisfied=False),))
    free = Critique(findings=(Finding(principle="p", satisfied=None),))
    text = Response(text="x")
    lost = Step(round=2, principles=("p",), critique=Abstention(reason="unparsed"))
    first = Step(round=1, principles=("p",), critique=bad, revision=text)
    stays = Step(round=2, principles=("p",), critique=free, revision=text)
    found = trajectories.summarise(
        [
            Trajectory(prompt=Prompt.of("a"), response=text, steps=(first, lost), ended="abstention"),
            Trajectory(prompt=Prompt.of("b"), response=text, steps=(first, stays), ended="rounds"),
        ],
        Browser(0, "trajectories", "Revisions"),
    )
    one, two = found.rounds
    assert (one.known, one.critiques, one.violating, one.without_verdict) == (2, 2, 2, 0)
    assert (two.known, two.critiques, two.violating, two.without_verdict) == (1, 1, 0, 1)


def test_repaired_is_what_the_last_critique_that_looked_found() -> None:
    def step(number: int, **satisfied: bool | None) -> Step:
        found = tuple(Finding(principle=name, satisfied=said) for name, said in satisfied.items())
        return Step(round=number, principles=tuple(satisfied), critique=Critique(findings=found))

    histories = [
        [step(1, p=False), step(2, p=True)],  # repaired
        [step(1, p=False), step(2, p=True), step(3, p=False)],  # and broken again
        [step(1, p=False), step(2, p=False)],  # still
        [step(1, p=False, q=True), step(2, q=True)],  # nobody looked at p again
        [step(1, p=False), step(2, p=None)],  # it was looked at without a verdict
        [step(1, p=True), step(2, p=False), step(3, p=True)],  # violated later, repaired
        [step(1, p=True, q=True)],  # never violated
    ]
    text = Response(text="x")
    found = trajectories.summarise(
        (
            Trajectory(prompt=Prompt.of(str(n)), response=text, steps=tuple(steps), ended="rounds")
            for n, steps in enumerate(histories)
        ),
        Browser(0, "trajectories", "Revisions"),
    )
    assert set(found.repaired) == {"p"}
    counts = found.repaired["p"]
    assert (counts.repaired, counts.still, counts.not_looked) == (2, 2, 2)
    assert counts.share is not None
    assert (counts.share.mean, counts.share.n) == (0.5, 4)
    assert found.constitution == ["p", "q"]
    assert [r.asked["p"] for r in found.rounds] == [7, 5, 2]


def test_examples_hold_every_policy_for_the_same_few_prompts() -> None:
    rows = [
        Evaluated(policy=policy, prompt=Prompt.of(f"{n}"), response=Response(text=f"{policy} {n} {sample}"))
        for policy in ("base", "ppo")
        for n in range(50)
        for sample in range(2)
    ]
    found = examples(rows)
    assert len(found) == SAMPLES
    for example in found:
        asked = example.prompt.messages[0].content
        texts = [answer.response.text for answer in example.answers.values()]
        assert texts == [f"base {asked} 0", f"ppo {asked} 0"]


def test_one_thing_is_not_said_in_the_plural() -> None:
    assert [counted(n, "vote") for n in (0, 1, 2, 1000)] == ["0 votes", "1 vote", "2 votes", "1,000 votes"]


def test_names_that_are_cut_to_the_same_label_have_places_of_their_own() -> None:
    names = [f"{'provider/' * 4}model-{n}-{'instruct-' * 4}" for n in (1, 2)]
    intervals = interval_chart("t", {name: {"mean": 0.5, "low": 0.4, "high": 0.6} for name in names}).figure
    square = confusion_chart([Pair((names[0], names[1]), Counter({("A", "A"): 1}))]).figure
    for axis in (intervals["layout"]["yaxis"], square["layout"]["yaxis"], square["layout"]["xaxis"]):
        assert axis["tickvals"] == names
        assert all(len(text) == 24 for text in axis["ticktext"])
    assert intervals["data"][0]["y"] == square["data"][0]["x"] == square["data"][0]["y"] == names


def test_lines_that_are_not_drawn_are_counted() -> None:
    raters = [Reliability(str(n), (Bin(0.6, wilson(0.5, 4, 4)),), 0.1) for n in range(8)]
    assert [reliability_chart(raters[:n]).left_out for n in (1, 6, 8)] == [0, 0, 2]
    names = [f"principle {n}" for n in range(9)]
    counted_once = Round(
        1, known=4, critiques=4, violating=4, principles=Counter(names), asked=Counter(names)
    )
    found = Trajectories(4, [counted_once], [], {name: Repaired() for name in names})
    assert rounds_chart(found).left_out == 4


def test_the_end_of_a_long_name_is_in_its_label() -> None:
    labels = {label(f"meta-llama/Llama-3.3-70B-Instruct-Turbo-version-{n}") for n in (1, 2)}
    assert labels == {f"meta-llama/L…o-version-{n}" for n in (1, 2)}
