"""Every measure against cases worked out by hand, or against a second way to compute it."""

from __future__ import annotations

import random
from itertools import permutations
from math import comb, isclose
from statistics import fmean

import pytest
from sklearn.metrics import cohen_kappa_score

from jurist.aggregators import ConfidenceThreshold, MajorityVote
from jurist.intervals import estimate
from jurist.validation.labelled import LabelledItem, Vote, read_labelled
from jurist_validate.absences import absences
from jurist_validate.agreement import agreement
from jurist_validate.baseline import longest_response
from jurist_validate.calibration import calibration
from jurist_validate.contest import contest
from jurist_validate.cost import usd_per_right_label
from jurist_validate.coverage import coverage
from jurist_validate.given_labels import given_labels
from jurist_validate.intervals import pooled_share, share, share_of
from jurist_validate.judges import judge_raters
from jurist_validate.juries import jury_rater
from jurist_validate.jury import jury
from jurist_validate.kappa import cohen, fleiss, kappas
from jurist_validate.length import length
from jurist_validate.position import position
from jurist_validate.rater import Rater, Reading
from jurist_validate.repeats import self_consistency


def readings(items: list[LabelledItem]) -> tuple[Reading, ...]:
    (judge,) = judge_raters(items)
    return judge.readings


def soft(number: int, label: str, preference: float, **fields: object) -> LabelledItem:
    """An item judged in one order with a stated probability."""
    vote = {
        "judge": "judge",
        "verdict": "A" if preference > 0.5 else "B",
        "confidence": max(preference, 1 - preference),
    }
    return read_labelled({"item": str(number), "label": label, "votes": [vote], **fields})


# --- which order was shown ----------------------------------------------------------------------------


def voted(*votes: tuple[str, str, str]) -> list[LabelledItem]:
    """Three items, labelled A, with the same votes: judge, order and verdict."""
    rows = [{"judge": judge, "order": order, "verdict": verdict} for judge, order, verdict in votes]
    return [read_labelled({"item": str(n), "label": "A", "votes": rows}) for n in range(3)]


@pytest.mark.parametrize(
    ("orders", "shown"),
    [
        (("either", "ba"), {"ba"}),  # to a symmetric judge it is all the same
        (("either", "ab"), {"ab"}),
        (("ab", "ab"), {"ab"}),
        (("either", "either"), {"ab", "ba"}),
        (("ab", "ba"), {"mixed"}),
        (("ba", "mixed"), {"mixed"}),
    ],
)
def test_a_jury_is_shown_the_order_that_its_judges_share(orders: tuple[str, str], shown: set[str]) -> None:
    items = voted(*((f"j{number}", order, "A") for number, order in enumerate(orders)))
    rater = jury_rater("majority", MajorityVote, items, 0)
    assert [set(reading.shown) for reading in rater.readings] == [shown] * 3
    assert {p for reading in rater.readings for p in reading.shown.values()} == {1.0}


def test_a_jury_of_judges_in_both_orders_and_one_that_mixes_them_is_not_taken_apart() -> None:
    items = voted(("j", "ab", "A"), ("j", "ba", "A"), ("k", "mixed", "A"))
    assert {tuple(r.shown) for r in jury_rater("majority", MajorityVote, items, 0).readings} == {("mixed",)}


def test_position_is_measured_where_it_is_known_and_agreement_everywhere() -> None:
    mixed, either = readings(voted(("j", "mixed", "A"))), readings(voted(("j", "either", "A")))
    assert position(mixed).first_chosen is None
    assert position(mixed).order_agreement is None
    assert kappas(mixed).cohen is None
    assert agreement(mixed).mean_of_orders == share([1.0] * 3)
    found = position(either)
    assert found.first_chosen is not None
    assert found.first_chosen.mean == 0.5
    assert found.order_agreement is not None
    assert found.order_agreement.mean == 1


# --- the four definitions ----------------------------------------------------------------------------


# label:verdicts in orders ab and ba → right in both, mean of orders, sum > 0, ties dropped (None: dropped)
CASES = {
    "A:AA": (1, 1, 1, 1),
    "A:BB": (0, 0, 0, 0),
    "A:AB": (0, 0.5, 0, None),  # a flip
    "B:BA": (0, 0.5, 0, None),
    "A:At": (0, 0.5, 1, None),
    "A:Bt": (0, 0, 0, None),
    "A:tt": (0, 0, 0, None),
    "A:A-": (0, 0.5, 1, None),  # an order without a verdict is not right, in none of them
    "A:A!": (0, 0.5, 1, None),
    "A:--": (0, 0, 0, None),
    "A:!!": (0, 0, 0, None),
    "B:B!": (0, 0.5, 1, None),
    "t:tt": (1, 1, "left out", "left out"),
    "t:tA": (0, 0.5, "left out", "left out"),
    "t:AB": (0, 0, "left out", "left out"),
    "t:!!": (0, 0, "left out", "left out"),
    "A:A.": ("left out", 1, 1, 1),  # asked in one order alone
    "A:.B": ("left out", 0, 0, 0),
    "A:!.": ("left out", 0, 0, None),
}


@pytest.mark.parametrize("case", CASES)
def test_an_item_counts_in_each_definition_as_it_says(items, case):
    found = agreement(readings(items(case)))
    both, mean, total, dropped = CASES[case]
    for expected, measured in (
        (both, found.right_in_both),
        (mean, found.mean_of_orders),
        (total, found.sum_of_verdicts),
    ):
        assert (measured is None) if expected == "left out" else (measured.mean == expected)
    if dropped in (None, "left out"):
        assert found.ties_dropped is None
    else:
        assert found.ties_dropped.mean == dropped
    if dropped == "left out":
        assert found.ties_dropped_coverage is None
    else:
        assert found.ties_dropped_coverage.mean == (dropped is not None)


def test_definitions_are_means_over_items(items):
    found = agreement(readings(items("A:AA", "A:AB", "B:AA", "B:B!", "t:tt")))
    assert found.right_in_both.mean == 2 / 5
    assert found.mean_of_orders.mean == pytest.approx((1 + 0.5 + 0 + 0.5 + 1) / 5)
    assert found.sum_of_verdicts.mean == 2 / 4
    assert (found.ties_dropped.mean, found.ties_dropped.n) == (1 / 2, 2)
    assert found.ties_dropped_coverage.mean == 2 / 4


def test_given_labels_count_sides_alone(items):
    found = given_labels(readings(items("A:AA", "A:AB", "B:AA", "B:B!", "t:tt", "t:AA")))
    assert (found.accuracy.mean, found.accuracy.n) == (1 / 2, 2)
    assert found.coverage.mean == 2 / 4
    assert found.right_of_all.mean == 1 / 4
    assert found.sided_on_ties.mean == 1 / 2


# --- absences ----------------------------------------------------------------------------------------


def test_absences_are_shares_of_votes(items):
    found = absences(readings(items("A:A-", "A:A!", "A:tt", "A:AA")), "judge")
    assert found.abstained.mean == found.failed.mean == 1 / 8
    assert found.tied.mean == 1 / 4
    assert found.reasons == {"unparsed": 1, "failure": 1}


def test_a_judge_that_only_fails_is_right_in_nothing(items):
    found = readings(items(*["A:!!"] * 5, *["B:!!"] * 5))
    assert absences(found, "judge").failed.mean == 1
    measured = agreement(found)
    assert measured.right_in_both.mean == measured.mean_of_orders.mean == measured.sum_of_verdicts.mean == 0
    assert measured.ties_dropped is None
    assert given_labels(found).accuracy is None
    assert given_labels(found).coverage.mean == 0


# --- position ----------------------------------------------------------------------------------------


def test_position_by_hand(items):
    # AB: first twice; BA: second twice; a tie or a missing verdict is no slot
    found = position(readings(items("A:AB", "B:AB", "A:AB", "A:BA", "A:AA", "B:tB", "A:A!")))
    assert (found.order_agreement.mean, found.order_agreement.n) == (1 / 6, 6)
    assert (found.same_slot.mean, found.same_slot.n) == (4 / 6, 6)
    assert (found.same_slot_first.mean, found.same_slot_first.n) == (3 / 4, 4)
    assert found.p_value == pytest.approx(2 * (comb(4, 3) + comb(4, 4)) / 2**4)
    # the last three: each slot once; B where it was shown first; A where it was
    assert found.first_chosen.mean == pytest.approx((1 + 1 + 1 + 0 + 0.5 + 1 + 1) / 7)
    assert found.first_labelled.mean == pytest.approx((0.5 * 5 + 1 + 1) / 7)


def test_a_judge_that_always_takes_the_first_slot(items):
    found = readings(items(*["A:AB"] * 20, *["B:AB"] * 20))
    measured = position(found)
    assert measured.same_slot.mean == measured.same_slot_first.mean == measured.first_chosen.mean == 1
    assert measured.p_value == pytest.approx(2 / 2**40)
    assert agreement(found).mean_of_orders.mean == 0.5
    assert agreement(found).right_in_both.mean == 0
    assert kappas(found).cohen.mean == pytest.approx(0)
    assert given_labels(found).coverage.mean == 0


# --- length ------------------------------------------------------------------------------------------


def written(number: int, label: str, side: str, a: int, b: int) -> LabelledItem:
    return read_labelled(
        {
            "item": str(number),
            "label": label,
            "prompt": f"q{number}",
            "response_a": "a" * a,
            "response_b": "b" * b,
            "votes": [{"judge": "judge", "verdict": side}],
        }
    )


def test_length_by_hand():
    found = length(
        readings(
            [
                written(0, "A", "A", 9, 1),
                written(1, "A", "B", 9, 1),
                written(2, "B", "A", 9, 1),
                written(3, "B", "A", 9, 1),
                written(4, "B", "B", 9, 1),
                written(5, "A", "A", 5, 5),  # neither is longer
                written(6, "tie", "A", 9, 1),
            ]
        )
    )
    assert (found.longer_chosen.mean, found.longer_chosen.n) == (3 / 5, 5)
    assert found.longer_labelled.mean == 2 / 5
    assert (found.accuracy_longer.mean, found.accuracy_longer.n) == (1 / 2, 2)
    assert (found.accuracy_shorter.mean, found.accuracy_shorter.n) == (1 / 3, 3)
    assert found.difference.mean == pytest.approx(1 / 6)
    assert found.difference.low < 1 / 6 < found.difference.high


def test_length_needs_texts(items):
    assert length(readings(items("A:AA"))) is None
    assert longest_response(items("A:AA")) is None


def test_the_longest_response_wins_and_equal_ones_tie():
    baseline = longest_response(
        [written(0, "A", "A", 9, 1), written(1, "A", "A", 1, 9), written(2, "B", "A", 4, 4)]
    )
    assert [reading.preference for reading in baseline.readings] == [1, 0, 0.5]
    assert given_labels(baseline.readings).accuracy.mean == 1 / 2
    assert given_labels(baseline.readings).coverage.mean == pytest.approx(2 / 3)


# --- calibration and coverage ------------------------------------------------------------------------


def test_calibration_by_hand():
    found = calibration(
        readings(
            [
                soft(0, "A", 0.92),
                soft(1, "A", 0.94),
                soft(2, "B", 0.9),
                soft(3, "B", 0.4),  # for B, with 0.6
                soft(4, "A", 0.4),
                soft(5, "tie", 0.99),
            ]
        ),
        kind="judge",
        seed=0,
    )
    assert [(row.accuracy.n, row.low) for row in found.bins] == [
        (2, pytest.approx(0.6)),
        (3, pytest.approx(0.9)),
    ]
    low, high = found.bins
    assert (low.confidence, low.accuracy.mean) == (pytest.approx(0.6), 0.5)
    assert (high.confidence, high.accuracy.mean) == (pytest.approx(0.92), pytest.approx(2 / 3))
    assert found.ece.mean == pytest.approx(2 / 5 * 0.1 + 3 / 5 * (0.92 - 2 / 3))
    squares = [0.08**2, 0.06**2, 0.9**2, 0.4**2, 0.6**2]
    assert found.brier.mean == pytest.approx(sum(squares) / 5)
    assert 0 <= found.ece.low <= found.ece.mean <= found.ece.high <= 1


@pytest.mark.parametrize(
    ("confidence", "low"), [(0.5001, 0.5), (0.55, 0.55), (0.6, 0.6), (0.7, 0.7), (0.85, 0.85), (1.0, 0.95)]
)
def test_a_bin_holds_its_lower_edge(confidence, low):
    found = calibration(readings([soft(0, "A", confidence), soft(1, "A", 0.51)]), "judge", seed=0)
    assert low in [pytest.approx(row.low) for row in found.bins]


def test_a_calibrated_judge_has_a_small_error_and_a_sure_one_a_large_one():
    draw = random.Random(1)
    sure = [draw.uniform(0.5, 1) for _ in range(2000)]
    fair = [soft(n, "A" if draw.random() < p else "B", p) for n, p in enumerate(sure)]
    boast = [soft(n, "A" if draw.random() < 0.6 else "B", 0.95) for n in range(2000)]
    assert calibration(readings(fair), "judge", 0).ece.mean < 0.05
    assert calibration(readings(boast), "judge", 0).ece.mean == pytest.approx(0.35, abs=0.04)


def test_hard_verdicts_have_no_calibration(items):
    found = readings(items("A:AA", "A:AB", "B:At"))
    assert calibration(found, "judge", 0) is None
    assert coverage(found, "judge") == []


def test_an_aggregator_is_soft_where_its_decisions_are(items):
    rows = items("A:At", "A:AA", "B:BB")  # of A and a tie it makes 0.75, in either order it is sure
    jury = jury_rater("confidence", ConfidenceThreshold, rows, 0).readings
    assert [reading.preference for reading in jury] == [0.75, 1, 0]
    assert calibration(jury, "aggregator", 0).ece.mean == pytest.approx(0.25 / 3)
    assert [point.accuracy.n for point in coverage(jury, "aggregator")][:1] == [3]
    assert calibration(readings(rows), "judge", 0) is None
    hard = jury_rater("confidence", ConfidenceThreshold, rows[1:], 0).readings
    assert calibration(hard, "aggregator", 0) is None


def test_coverage_keeps_the_most_confident():
    found = coverage(readings([soft(n, "A" if n < 8 else "B", 0.99 - n / 100) for n in range(10)]), "judge")
    assert [(p.coverage, p.accuracy.n, p.accuracy.mean) for p in found] == [
        (1.0, 10, pytest.approx(8 / 10)),
        (0.9, 9, pytest.approx(8 / 9)),
        (0.8, 8, 1),
        (0.7, 7, 1),
        (0.6, 6, 1),
        (0.5, 5, 1),
    ]


def test_coverage_does_not_depend_on_the_order_of_equal_confidences():
    rows = [soft(n, "A" if n % 2 else "B", 0.8) for n in range(10)]
    for ordered in (rows, rows[::-1], sorted(rows, key=lambda row: row.label)):
        assert [p.accuracy.mean for p in coverage(readings(ordered), "judge")] == [pytest.approx(0.5)] * 6


def test_a_coverage_that_is_not_reached_has_no_accuracy(items):
    rows = [soft(n, "A", 0.9) for n in range(7)] + items("A:-", "A:-", "A:-")
    found = {point.coverage: point.accuracy for point in coverage(readings(rows), "judge")}
    assert found[1.0] is found[0.9] is found[0.8] is None
    assert found[0.7].mean == 1


# --- kappas ------------------------------------------------------------------------------------------


def test_kappas_by_hand():
    # 20 both first, 5 first/second, 10 second/first, 15 both second: the textbook's example of Cohen's kappa
    pairs = (
        [("first", "first")] * 20
        + [("first", "second")] * 5
        + [("second", "first")] * 10
        + [("second", "second")] * 15
    )
    assert cohen([[pair] for pair in pairs]).mean == pytest.approx(0.4)
    chance = 0.55**2 + 0.45**2  # Fleiss: 55 of 100 ratings are "first"
    assert fleiss([[pair] for pair in pairs]).mean == pytest.approx((0.7 - chance) / (1 - chance))


def test_the_interval_of_kappa_is_that_of_the_agreement():
    pairs = [[("first", "first")]] * 30 + [[("second", "first")]] * 10 + [[("second", "second")]] * 20
    found = cohen(pairs)
    chance = (30 * 40 + 30 * 20) / 60**2
    agreed = share_of(50, 60)
    assert found.mean == pytest.approx((50 / 60 - chance) / (1 - chance))
    assert found.low == pytest.approx((agreed.low - chance) / (1 - chance))
    assert found.high == pytest.approx((agreed.high - chance) / (1 - chance))


def test_the_interval_of_kappa_is_of_the_pooled_ratings_where_an_order_has_none():
    both, one = [("first", "first"), ("second", "second")], [("first", "second")]
    found = cohen([both] * 40 + [one] * 20)
    assert found.mean == pytest.approx(cohen_kappa_score(*zip(*both * 40, *one * 20, strict=True)))
    assert found.low < found.mean < found.high
    assert found.n == 60
    # The jackknife over items, with the chance agreement taken as known, is as wide.
    chance = (60 * 40 + 40 * 60) / 100**2
    left_out = [(80 - gone) / (100 - of) for gone, of in [(2, 2)] * 40 + [(0, 1)] * 20]
    deviations = sum((each - fmean(left_out)) ** 2 for each in left_out)
    half = 1.96 * (59 / 60 * deviations) ** 0.5 / (1 - chance)
    assert (found.high - found.low) / 2 == pytest.approx(half, rel=0.1)


def test_a_pooled_share_of_as_many_ratings_for_each_item_is_that_of_the_items():
    draw = random.Random(0)
    counts = [(draw.choice([0, 1, 2, 2]), 2) for _ in range(100)]
    found, same = pooled_share([*counts, (0, 0)]), share([count / 2 for count, _ in counts])
    for name in ("mean", "low", "high", "n"):
        assert getattr(found, name) == pytest.approx(getattr(same, name))
    assert pooled_share([(0, 0)]) is None
    assert pooled_share([(2, 2), (1, 1)]) == share([1.0, 1.0])


def test_kappa_of_one_rating_is_not_defined(items):
    assert cohen([[("first", "first")]] * 5) is None
    assert fleiss([]) is None
    assert kappas(readings(items("A:!!"))).cohen is None


def test_agreement_among_judges(items):
    first = items("A:AA", "A:AA", "B:BB", "B:AB", judge="one")
    second = items("A:AA", "A:AA", "B:BB", "B:AB", judge="two")
    both = [
        one.model_copy(update={"votes": one.votes + two.votes})
        for one, two in zip(first, second, strict=True)
    ]
    found = jury(judge_raters(both), seed=0)
    assert found.judges == ["one", "two"]
    assert found.alpha.mean == found.fleiss.mean == found.pairwise[0].cohen.mean == pytest.approx(1)
    assert jury(judge_raters(first), seed=0) is None


def brute_force_alpha(units: list[list[str]]) -> float:
    """Krippendorff's alpha (nominal), from its definition: pairs of ratings within and across units."""
    units = [unit for unit in units if len(unit) > 1]
    ratings = [rating for unit in units for rating in unit]
    observed = sum(sum(a != b for a, b in permutations(unit, 2)) / (len(unit) - 1) for unit in units) / len(
        ratings
    )
    expected = sum(a != b for a, b in permutations(ratings, 2)) / (len(ratings) * (len(ratings) - 1))
    return 1 - observed / expected


def test_alpha_uses_what_is_there(votes_on):
    draw = random.Random(5)
    names = ("one", "two", "three", "four")
    found, units = [], []
    for number in range(60):
        truth = draw.choice("AB")
        said = {name: "".join(draw.choice([truth, truth, "A", "t", "-"]) for _ in "12") for name in names}
        found.append(votes_on(number, truth, said))
        for place in (0, 1):
            slots = (
                {"A": "first", "B": "second", "t": "tie"}
                if place == 0
                else {"A": "second", "B": "first", "t": "tie"}
            )
            units.append([slots[signs[place]] for signs in said.values() if signs[place] in slots])
    measured = jury(judge_raters(found), seed=0)
    assert measured.alpha.mean == pytest.approx(brute_force_alpha(units))
    assert measured.alpha.low < measured.alpha.mean < measured.alpha.high
    assert len(measured.pairwise) == 6


# --- repeats, cost, contests -------------------------------------------------------------------------


def repeated(*samples: tuple[str, str | None]) -> LabelledItem:
    votes = [{"judge": "judge", "order": order, "verdict": verdict} for order, verdict in samples]
    return read_labelled({"item": str(hash(samples)), "label": "A", "votes": votes})


def test_self_consistency_is_the_share_of_equal_pairs():
    three = repeated(("ab", "A"), ("ab", "A"), ("ab", "B"), ("ba", "B"))  # 1 of 3 pairs; ba has none
    two = repeated(("ba", "B"), ("ba", "B"), ("ba", None))  # 1 of 1: no verdict is no vote
    assert self_consistency(readings([three, two])).mean == pytest.approx((1 / 3 + 1) / 2)


def test_nothing_repeated_has_no_self_consistency(items):
    assert self_consistency(readings(items("A:AA", "A:AB"))) is None


def paid(number: int, label: str, verdict: str, usd: float | None) -> LabelledItem:
    vote = Vote(judge="judge", verdict=verdict, usd=usd)
    return LabelledItem(item=str(number), label=label, votes=(vote,))


def test_cost_of_a_right_label():
    found = usd_per_right_label(
        readings(
            [paid(0, "A", "A", 0.25), paid(1, "A", "B", 0.5), paid(2, "B", "B", 0.25), paid(3, "tie", "A", 9)]
        )
    )
    assert found.mean == pytest.approx(0.5)
    assert found.low < 0.5 < found.high
    assert usd_per_right_label(readings([paid(0, "A", "A", 1), paid(1, "A", "A", None)])) is None
    assert usd_per_right_label(readings([paid(0, "A", "B", 1)])) is None


def test_a_contest_is_on_common_items(items):
    mine = Rater("mine", "judge", readings(items("A:AA", "A:AA", "A:AA", "A:BB", "A:AB", "t:AA")))
    theirs = Rater("theirs", "judge", readings(items("A:AA", "A:BB", "A:BB", "A:AA", "A:AA", "t:AA")))
    found = contest(mine, theirs)
    assert (found.difference.mean, found.difference.n) == ((2 - 1) / 4, 4)
    assert found.p_value == pytest.approx(1.0)  # 2 against 1
    # Agresti and Min 2005: one half in each cell
    half = 1.959964 * (3 + 1 - 1 / 6) ** 0.5 / 6
    assert found.difference.low == pytest.approx(1 / 6 - half, abs=1e-6)
    assert found.difference.high == pytest.approx(1 / 6 + half, abs=1e-6)


# --- intervals ---------------------------------------------------------------------------------------


def test_shares_of_zeros_and_ones_have_wilsons_interval():
    values = [1.0] * 17 + [0.0] * 5
    assert all(
        isclose(getattr(share(values), name), getattr(estimate(values), name), abs_tol=1e-12)
        for name in ("mean", "low", "high")
    )
    assert share(values).n == 22
    assert share([]) is None


def test_two_independent_verdicts_for_each_item_count_twice_and_equal_ones_once():
    draw = random.Random(0)
    verdicts = [draw.random() < 0.7 for _ in range(2000)]
    single = share([float(v) for v in verdicts])
    equal = share([(v + v) / 2 for v in verdicts])
    halves = share([(a + b) / 2 for a, b in zip(verdicts[::2], verdicts[1::2], strict=True)])
    assert equal == single
    assert halves.high - halves.low == pytest.approx(single.high - single.low, rel=0.05)


def test_an_interval_never_counts_more_than_two_verdicts_for_each_item():
    constant = share([0.5] * 100)
    twice = share_of(100, 200)
    assert (constant.low, constant.high) == (pytest.approx(twice.low), pytest.approx(twice.high))


def test_wilson_covers_what_it_says():
    draw = random.Random(3)
    covered = 0
    for _ in range(400):
        found = share([(draw.random() < 0.8) / 2 + (draw.random() < 0.8) / 2 for _ in range(60)])
        covered += found.low <= 0.8 <= found.high
    assert 0.92 <= covered / 400 <= 0.98
