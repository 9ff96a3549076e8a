"""Dawid-Skene: the data of the paper, sums by hand, and planted judges."""

from __future__ import annotations

import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jurist.errors import UsageError
from jurist.records import Abstention, Decision, Judgment
from jurist.testing import AggregatorContract
from jurist.validation.labelled import LabelledItem, Vote
from jurist_calibrate.confusion import confusion_by_labels, confusion_by_votes
from jurist_calibrate.dawid_skene import DawidSkene, DawidSkeneOptions

Planted = Callable[..., list[LabelledItem]]
Mirror = Callable[[LabelledItem], LabelledItem]

# Dawid & Skene (1979), table 1: how fit five anaesthetists found 45 patients, from 1 to 4. The first saw each
# patient three times.
PATIENTS = """
111 1 1 1 1|333 4 3 3 4|112 2 1 2 2|222 3 1 2 1|222 3 2 2 2|222 3 3 2 2|122 2 1 1 1|333 3 4 3 3|222 2 2 2 3
232 2 2 2 3|444 4 4 4 4|222 3 3 4 3|111 1 1 1 1|222 3 2 1 2|121 1 1 1 1|111 2 1 1 1|111 1 1 1 1|111 1 1 1 1
222 2 2 2 1|222 1 3 2 2|222 2 2 2 2|222 2 2 2 1|222 3 2 2 2|221 2 2 2 2|111 1 1 1 1|111 1 1 1 1|232 2 2 2 2
111 1 1 1 1|111 1 1 1 1|112 1 1 2 1|111 1 1 1 1|333 3 2 3 3|111 1 1 1 1|222 2 2 2 2|222 3 2 3 2|433 4 3 4 3
221 2 2 3 2|232 3 2 3 3|333 3 4 3 2|111 1 1 1 1|111 1 1 1 1|121 2 1 1 1|232 2 2 2 2|121 1 1 1 1|222 2 2 2 2
"""


def test_the_anaesthetists_of_the_paper() -> None:
    """Table 2 of the paper: the shares of the four classes are .40 .42 .11 .07."""
    patients = [patient for line in PATIENTS.split("\n") if line for patient in line.split("|")]
    votes = [
        (str(number), str(observer), verdict)
        for number, patient in enumerate(patients)
        for observer, verdicts in enumerate(patient.split())
        for verdict in verdicts
    ]
    assert len(votes) == 45 * 7
    found = confusion_by_votes(votes)
    shares = [round(found.marginals[kind], 2) for kind in "1234"]
    assert shares == [0.40, 0.42, 0.11, 0.07]
    # The first observer's rates, .89 .11 and .07 .88 .05 in the paper, with one verdict of each kind added.
    seen = 3 * 45 * found.marginals["1"]
    assert found.rates["0"]["1"]["1"] == pytest.approx((0.89 * seen + 1) / (seen + 4), abs=0.01)
    assert all(
        sum(rates.values()) == pytest.approx(1)
        for worker in found.rates.values()
        for rates in worker.values()
    )


def test_rates_by_hand() -> None:
    """Of three items that are A, x says A, A and B: (2 + 1) / (3 + 2)."""
    votes = [("1", "x", "A"), ("2", "x", "A"), ("3", "x", "B"), ("4", "x", "B"), ("4", "y", "A")]
    found = confusion_by_labels(votes, {"1": "A", "2": "A", "3": "A", "4": "B"})
    assert found.marginals == {"A": 0.75, "B": 0.25}
    assert found.rates["x"] == {
        "A": {"A": 0.6, "B": 0.4},
        "B": {"A": pytest.approx(1 / 3), "B": pytest.approx(2 / 3)},
    }
    assert found.rates["y"]["A"] == {"A": 0.5, "B": 0.5}


# --- as an aggregator --------------------------------------------------------------------------------


def fitted(items: list[LabelledItem], **options: Any) -> DawidSkene:
    jury = DawidSkene(DawidSkeneOptions(**options))
    jury.fit(items)
    return jury


def decided(jury: DawidSkene, item: LabelledItem) -> Decision:
    return jury.decide(item.comparison, item.outcomes)


def accuracy(jury: DawidSkene, items: list[LabelledItem]) -> float:
    right = 0
    for item in items:
        p = decided(jury, item).probability
        right += p is not None and ("tie" if p == 0.5 else "A" if p > 0.5 else "B") == item.label
    return right / len(items)


def one_vote(judge: str, order: Any, preference: float) -> Judgment:
    return Judgment(preference=preference, source=judge, order=order)


class TestDawidSkene(AggregatorContract):
    component = DawidSkene

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _saved(cls, tmp_path_factory: pytest.TempPathFactory) -> None:
        rng, items = random.Random(0), []
        for number in range(60):
            label = rng.choice(["A", "B", "tie"])
            votes = tuple(
                Vote(judge=judge, order=order, verdict=label if rng.random() < 0.7 else "A")
                for judge in cls.judges
                for order in ("ab", "ba")
            )
            items.append(LabelledItem(item=str(number), label=label, votes=votes))
        folder = tmp_path_factory.mktemp("contract")
        fitted(items).save(folder)
        cls.options = {"model": str(folder)}


@pytest.mark.parametrize("use_labels", [True, False])
def test_planted_confusion_is_found_and_position_is_part_of_it(planted: Planted, use_labels: bool) -> None:
    judges = {"good": 0.9, "fair": 0.75, "also": 0.7}
    jury = fitted(planted(1500, judges, lean=0.2), use_labels=use_labels)
    rates = jury.learnt.confusion.rates
    assert rates["ab/good"]["A"]["A"] == pytest.approx(0.8 * 0.9 + 0.2, abs=0.03)
    assert rates["ba/good"]["A"]["A"] == pytest.approx(0.8 * 0.9, abs=0.03)
    assert rates["ab/good"]["A"]["A"] == pytest.approx(rates["ba/good"]["B"]["B"], abs=1e-6)
    for_first = decided_alone(jury, one_vote("good", "ab", 1))
    against_first = decided_alone(jury, one_vote("good", "ba", 1))
    assert 0.5 < for_first < against_first
    assert accuracy(jury, planted(1000, judges, lean=0.2, seed=1)) > 0.87


def decided_alone(jury: DawidSkene, outcome: Judgment) -> float:
    found = jury.decide(LabelledItem(item="0", label="A").comparison, [outcome]).probability
    assert found is not None
    return found


def test_the_posterior_by_hand(planted: Planted) -> None:
    """Bayes' rule: half by the marginals, times the rates of both votes."""
    jury = fitted(planted(200, {"one": 0.8, "two": 0.6}, lean=0.1))
    rates = jury.learnt.confusion.rates
    for_a = rates["ab/one"]["A"]["A"] * rates["ba/two"]["A"]["B"]
    for_b = rates["ab/one"]["B"]["A"] * rates["ba/two"]["B"]["B"]
    comparison = LabelledItem(item="0", label="A").comparison
    decision = jury.decide(comparison, [one_vote("one", "ab", 0.7), one_vote("two", "ba", 0.0)])
    assert decision.probability == pytest.approx(for_a / (for_a + for_b))


def test_ties_are_a_class_of_their_own(planted: Planted) -> None:
    judges = {"one": 0.8, "two": 0.8, "three": 0.7}
    jury = fitted(planted(500, judges, ties=0.3))
    assert jury.learnt.confusion.marginals["tie"] == pytest.approx(0.3, abs=0.05)
    fresh = planted(500, judges, ties=0.3, seed=1)
    ties = [item for item in fresh if item.label == "tie"]
    assert sum(decided(jury, item).probability == 0.5 for item in ties) > 0.8 * len(ties)
    assert accuracy(jury, fresh) > 0.9


def test_without_labels_judges_who_err_together_mislead_it(planted: Planted) -> None:
    judges = {"good": 0.9, "wrong": 0.3, "wronger": 0.2}
    items, fresh = planted(400, judges), planted(400, judges, seed=1)
    assert accuracy(fitted(items), fresh) > 0.9
    assert accuracy(fitted(items, use_labels=False), fresh) < 0.5


def test_swapping_everything_swaps_the_probability(planted: Planted, mirrored: Mirror) -> None:
    judges = {"one": 0.8, "two": 0.6}
    jury = fitted(planted(60, judges, lean=0.3, ties=0.2))
    for item in planted(100, judges, lean=0.3, ties=0.2, seed=1):
        here, there = decided(jury, item).probability, decided(jury, mirrored(item)).probability
        assert here is not None
        assert there is not None
        assert abs(here + there - 1) < 1e-12


def test_a_judge_shown_in_one_order_alone_has_no_order(planted: Planted) -> None:
    """A symmetric judge, say: all its verdicts have the order ab, those on swapped items too."""
    items = [
        item.model_copy(update={"votes": tuple(vote for vote in item.votes if vote.order == "ab")})
        for item in planted(100, {"one": 0.8})
        if item.label == "A" or int(item.item) % 4 == 0
    ]
    jury = fitted(items)
    assert list(jury.learnt.confusion.rates) == ["any/one"]
    for_a, for_b = (decided_alone(jury, one_vote("one", "ab", p)) for p in (1.0, 0.0))
    assert for_a == pytest.approx(1 - for_b)
    assert decided_alone(jury, one_vote("one", "ba", 1.0)) == for_a


@pytest.mark.parametrize("order", ["either", "mixed"])
def test_a_verdict_of_no_single_order_says_nothing_of_a_lean(planted: Planted, order: Any) -> None:
    items = [
        item.model_copy(update={"votes": tuple(vote.model_copy(update={"order": order}) for vote in votes)})
        for item in planted(100, {"one": 0.8})
        for votes in [item.votes[:1]]
    ]
    jury = fitted(items)
    assert list(jury.learnt.confusion.rates) == ["any/one"]
    for_a, for_b = (decided_alone(jury, one_vote("one", order, p)) for p in (1.0, 0.0))
    assert for_a > 0.6
    assert for_a == pytest.approx(1 - for_b)


def test_silence_adds_nothing_and_all_silence_decides_nothing(planted: Planted) -> None:
    jury = fitted(planted(100, {"one": 0.8, "two": 0.6}))
    comparison = LabelledItem(item="0", label="A").comparison
    silent = Abstention(reason="refused", source="two")
    alone = decided_alone(jury, one_vote("one", "ab", 1))
    assert jury.decide(comparison, [one_vote("one", "ab", 1), silent]).probability == alone
    nothing = jury.decide(comparison, [silent])
    assert (nothing.status, nothing.reason) == ("undecided", "no_votes")


def test_it_is_saved_and_refuses_other_judges(planted: Planted, tmp_path: Path) -> None:
    items = planted(100, {"one": 0.8, "two": 0.6}, ties=0.1)
    jury = fitted(items)
    jury.save(tmp_path)
    loaded = DawidSkene(DawidSkeneOptions(model=tmp_path))
    assert loaded.learnt == jury.learnt
    assert [decided(loaded, item) for item in items] == [decided(jury, item) for item in items]
    loaded.check_judges({"one": "1", "two": "2"})
    with pytest.raises(UsageError, match="'two', one of the jury's, is not asked"):
        loaded.check_judges({"one": "1"})
    with pytest.raises(UsageError, match="'three' is not one of the jury's"):
        loaded.decide(items[0].comparison, [one_vote("three", "ab", 1)])


def test_nothing_to_learn_from_is_refused(planted: Planted) -> None:
    silent = [
        LabelledItem(item=str(number), label="A", votes=(Vote(judge="one", verdict=None),))
        for number in range(20)
    ]
    with pytest.raises(UsageError, match="no judge gave a judgment on any of 20 items"):
        fitted(silent)
    with pytest.raises(UsageError, match="has yet to learn"):
        decided(DawidSkene(), silent[0])
