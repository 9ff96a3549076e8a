"""The calibrated jury: what it learns of planted judges, and whom it refuses."""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from math import log
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

from jurist.contracts import Aggregator
from jurist.errors import UsageError
from jurist.records import Abstention, Decision, Failure, Judgment
from jurist.testing import AggregatorContract
from jurist.validation.labelled import LabelledItem, Vote
from jurist_calibrate.calibrated import CalibratedJury, CalibratedJuryOptions
from jurist_calibrate.dawid_skene import DawidSkene, DawidSkeneOptions

Planted = Callable[..., list[LabelledItem]]
Mirror = Callable[[LabelledItem], LabelledItem]
JUDGES = {"good": 0.9, "fair": 0.7, "coin": 0.5}


def fitted(items: list[LabelledItem], **options: Any) -> CalibratedJury:
    jury = CalibratedJury(CalibratedJuryOptions(**options))
    jury.fit(items)
    return jury


def decided(jury: Aggregator, item: LabelledItem) -> Decision:
    return jury.decide(item.comparison, item.outcomes)


def said(jury: Aggregator, **preferences: float | None) -> Decision:
    """What the jury makes of these preferences, each given in both orders; None is an abstention."""
    outcomes = [
        Abstention(reason="unparsed", source=judge)
        if p is None
        else Judgment(
            preference=p,
            source=judge,
            order="both",
            parts=(Judgment(preference=p, order="ab"), Judgment(preference=p, order="ba")),
        )
        for judge, p in preferences.items()
    ]
    return jury.decide(LabelledItem(item="0", label="A").comparison, outcomes)


def probability(jury: Aggregator, **preferences: float | None) -> float:
    found = said(jury, **preferences).probability
    assert found is not None
    return found


def items_of_contract() -> list[LabelledItem]:
    """Items that the judges of the contract tests voted on: unsure of themselves, and leaning to A."""
    rng, items = random.Random(0), []
    for number in range(60):
        label = rng.choice(["A", "B", "tie"])
        votes = tuple(
            Vote(judge=judge, order=order, verdict=label if rng.random() < 0.7 else "A", confidence=0.8)
            for judge in AggregatorContract.judges
            for order in ("ab", "ba")
        )
        items.append(LabelledItem(item=str(number), label=label, votes=votes))
    return items


class TestCalibratedJury(AggregatorContract):
    component = CalibratedJury

    @pytest.fixture(autouse=True, scope="class")
    @classmethod
    def _saved(cls, tmp_path_factory: pytest.TempPathFactory) -> None:
        """They make a jury some thousand times, so it is fitted once."""
        folder = tmp_path_factory.mktemp("contract")
        fitted(items_of_contract()).save(folder)
        cls.options = {"model": str(folder)}


# --- what it learns ----------------------------------------------------------------------------------


def test_weights_are_the_log_odds_of_the_planted_accuracies(planted: Planted) -> None:
    """A verdict in one order of two counts half; two independent ones of 90% are log(0.9/0.1) each."""
    weights = fitted(planted(4000, JUDGES)).learnt.weights
    for judge, accuracy in JUDGES.items():
        assert weights[judge].verdict == pytest.approx(2 * log(accuracy / (1 - accuracy)), abs=0.25)
        assert weights[judge].preference == 0


def test_a_lean_towards_the_first_response_cancels(planted: Planted) -> None:
    items = planted(600, JUDGES, lean=0.4)
    jury = fitted(items)
    first = [
        Judgment(
            preference=0.5,
            source=judge,
            order="both",
            parts=(Judgment(preference=1, order="ab"), Judgment(preference=0, order="ba")),
        )
        for judge in JUDGES
    ]
    decision = jury.decide(items[0].comparison, first)
    assert (decision.status, decision.reason) == ("undecided", "low_confidence")
    assert "cancel" in decision.detail


def test_probabilities_mean_what_they_say(planted: Planted) -> None:
    jury = fitted(planted(300, {**JUDGES, "other": 0.6}, lean=0.2))
    given: list[list[float]] = [[] for _ in range(10)]
    for item in planted(6000, {**JUDGES, "other": 0.6}, lean=0.2, seed=1):
        p = decided(jury, item).probability
        if p is not None:
            confidence = max(p, 1 - p)
            given[min(int(20 * (confidence - 0.5)), 9)].append(
                confidence - ((p > 0.5) == (item.label == "A"))
            )
    assert sum(abs(sum(gaps)) for gaps in given) / sum(map(len, given)) < 0.03


def test_its_own_account_of_itself_is_true(planted: Planted) -> None:
    items = planted(500, JUDGES)
    jury = fitted(items)
    fresh = planted(5000, JUDGES, seed=1)
    right = fmean(
        (p > 0.5) == (item.label == "A")
        for item in fresh
        if (p := decided(jury, item).probability) is not None
    )
    assert jury.learnt.accuracy == pytest.approx(right, abs=0.04)
    assert jury.learnt.calibration_error < 0.05
    assert jury.learnt.items == 500


def test_a_judge_that_is_mostly_wrong_counts_against_what_it_says(planted: Planted) -> None:
    jury = fitted(planted(300, {"good": 0.8, "wrong": 0.2}))
    assert probability(jury, good=1, wrong=0) > probability(jury, good=1, wrong=1)


def test_how_sure_judges_are_counts_if_it_tells_something(planted: Planted) -> None:
    def knowing(right: bool, rng: random.Random) -> float:
        return rng.uniform(0.8, 1) if right else rng.uniform(0.5, 0.7)

    def boasting(right: bool, rng: random.Random) -> float:
        return rng.uniform(0.5, 1)

    knows = fitted(planted(800, {"one": 0.7, "two": 0.7}, sure=knowing))
    boasts = fitted(planted(800, {"one": 0.7, "two": 0.7}, sure=boasting))
    for jury, low, high in ((knows, 0.2, 1.0), (boasts, -0.08, 0.08)):
        difference = probability(jury, one=0.95, two=0.95) - probability(jury, one=0.6, two=0.6)
        assert low < difference < high


def test_hard_votes_have_one_weight_each_and_soft_ones_are_read_as_hard(planted: Planted) -> None:
    jury = fitted(planted(100, JUDGES))
    assert probability(jury, good=0.6, fair=0.9) == probability(jury, good=1, fair=1)


def test_swapping_everything_swaps_the_probability(planted: Planted, mirrored: Mirror) -> None:
    def stated(right: bool, rng: random.Random) -> float:
        return rng.uniform(0.5, 1)

    for ties in (0.0, 0.3):
        items = planted(120, JUDGES, lean=0.3, ties=ties, sure=stated)
        jury = fitted(items)
        for item in planted(200, JUDGES, lean=0.3, ties=ties, sure=stated, seed=1):
            here, there = decided(jury, item), decided(jury, mirrored(item))
            assert (here.status, here.reason) == (there.status, there.reason)
            if here.probability is not None and there.probability is not None:
                assert abs(here.probability + there.probability - 1) < 1e-12


def test_it_does_not_matter_which_side_is_called_a_in_learning(planted: Planted, mirrored: Mirror) -> None:
    items = planted(80, JUDGES, lean=0.3)
    turned = [mirrored(item) if number % 3 else item for number, item in enumerate(items)]
    assert probability(fitted(turned), good=1, fair=0, coin=1) == pytest.approx(
        probability(fitted(items), good=1, fair=0, coin=1), abs=1e-4
    )


def test_fitting_is_the_same_every_time(planted: Planted) -> None:
    items = planted(80, JUDGES)
    assert fitted(items).learnt == fitted(items).learnt


# --- ties ----------------------------------------------------------------------------------------------


def test_declared_ties_make_a_tie_probable(planted: Planted) -> None:
    jury = fitted(planted(400, {"one": 0.8, "two": 0.8}, ties=0.4))
    assert probability(jury, one=0.5, two=0.5) == 0.5
    assert said(jury, one=0.5, two=0.5).status == "decided"
    assert probability(jury, one=1, two=1) > 0.8
    assert probability(jury, one=0, two=0) < 0.2
    detail = said(jury, one=1, two=1).detail
    shares = dict(
        zip(("A", "tie", "B"), (float(part.split()[-1]) for part in detail.split(", ")), strict=True)
    )
    assert sum(shares.values()) == pytest.approx(1, abs=2e-3)
    assert probability(jury, one=1, two=1) == pytest.approx(shares["A"] + shares["tie"] / 2, abs=2e-3)


def test_where_no_label_is_a_tie_none_is_found(planted: Planted) -> None:
    jury = fitted(planted(100, JUDGES))
    assert jury.learnt.ties is None
    assert "P(tie) 0.000" in said(jury, good=1, fair=0, coin=0).detail


# --- votes that are missing ------------------------------------------------------------------------------


def test_a_silent_judge_adds_nothing(planted: Planted) -> None:
    jury = fitted(planted(200, JUDGES))
    both = probability(jury, good=1, fair=1)
    assert probability(jury, good=1, fair=1, coin=None) == both
    comparison = LabelledItem(item="0", label="A").comparison
    half = Abstention(
        reason="unparsed",
        source="coin",
        order="both",
        parts=(Judgment(preference=1, order="ab"), Abstention(reason="unparsed", order="ba")),
    )
    failed = Failure(error="gone", source="coin")
    outcomes = [Judgment(preference=1, source="good"), Judgment(preference=1, source="fair")]
    for silence in (half, failed):
        assert jury.decide(comparison, [*outcomes, silence]).probability == both
    silent = jury.decide(comparison, [half, failed.model_copy(update={"source": "good"})])
    assert (silent.status, silent.reason) == ("undecided", "no_votes")


def test_one_order_alone_counts_as_much_as_both(planted: Planted) -> None:
    jury = fitted(planted(200, JUDGES))
    comparison = LabelledItem(item="0", label="A").comparison
    once = jury.decide(comparison, [Judgment(preference=1, source="good", order="ba")])
    assert once.probability == probability(jury, good=1)


def test_items_without_a_judgment_teach_nothing(planted: Planted) -> None:
    items = planted(100, JUDGES)
    silent = [
        item.model_copy(
            update={"votes": tuple(vote.model_copy(update={"verdict": None}) for vote in item.votes)}
        )
        for item in planted(50, JUDGES, seed=1)
    ]
    assert fitted([*items, *silent]).learnt == fitted(items).learnt


@pytest.mark.parametrize("accuracies", [{"only": 0.8}, {"one": 0.8, "two": 0.6}])
def test_small_juries_and_few_items_will_do(planted: Planted, accuracies: dict[str, float]) -> None:
    jury = fitted(planted(40, accuracies))
    sure = probability(jury, **dict.fromkeys(accuracies, 1.0))
    assert 0.7 < sure < 0.99


# --- abstaining ------------------------------------------------------------------------------------------


def test_below_the_least_expected_accuracy_there_is_no_decision(planted: Planted) -> None:
    items, fresh = planted(300, JUDGES), planted(2000, JUDGES, seed=1)
    kept = [
        decision.probability > 0.5 if item.label == "A" else decision.probability < 0.5
        for jury in [fitted(items, min_accuracy=0.95)]
        for item in fresh
        if (decision := decided(jury, item)).probability is not None
    ]
    assert 0.3 < len(kept) / len(fresh) < 0.95
    assert fmean(kept) > 0.95
    unsure = said(fitted(items, min_accuracy=0.95), good=1, fair=0, coin=0)
    assert (unsure.status, unsure.reason) == ("undecided", "low_confidence")
    assert unsure.detail.endswith("below 0.95")


# --- saving, loading, refusing -----------------------------------------------------------------------------


def with_versions(items: list[LabelledItem], version: str) -> list[LabelledItem]:
    return [
        item.model_copy(
            update={
                "votes": tuple(
                    vote.model_copy(
                        update={"version": "" if vote.judge == "coin" else f"{vote.judge}-{version}"}
                    )
                    for vote in item.votes
                )
            }
        )
        for item in items
    ]


@pytest.fixture
def saved(planted: Planted, tmp_path: Path) -> Path:
    fitted(with_versions(planted(100, JUDGES, ties=0.2), "1")).save(tmp_path / "jury")
    return tmp_path / "jury"


def test_what_was_saved_decides_the_same(saved: Path, planted: Planted) -> None:
    fresh = fitted(with_versions(planted(100, JUDGES, ties=0.2), "1"))
    loaded = CalibratedJury(CalibratedJuryOptions(model=saved))
    assert loaded.learnt == fresh.learnt
    for item in planted(50, JUDGES, seed=1):
        assert decided(loaded, item) == decided(fresh, item)
    row = json.loads((saved / "calibrated.json").read_text())
    assert row["format"] == 1
    assert row["made_by"].startswith("jurist-calibrate 0.")
    assert row["versions"] == {"coin": "", "fair": "fair-1", "good": "good-1"}
    assert list(saved.iterdir()) == [saved / "calibrated.json"]


def test_it_knows_the_prompts_it_learnt_from(saved: Path, planted: Planted, tmp_path: Path) -> None:
    loaded = CalibratedJury(CalibratedJuryOptions(model=saved))
    assert loaded.is_learnt
    ids = {item.comparison.prompt.id for item in planted(100, JUDGES)}
    assert len(ids) == 100
    assert loaded.learnt_prompts() == ids
    assert not fitted(planted(40, JUDGES)).is_learnt
    row = json.loads((saved / "calibrated.json").read_text())
    del row["prompts"]
    (saved / "calibrated.json").write_text(json.dumps(row))
    assert CalibratedJury(CalibratedJuryOptions(model=saved)).learnt_prompts() is None


def test_its_identity_is_what_it_learnt_and_not_where_that_is_kept(
    saved: Path, planted: Planted, tmp_path: Path
) -> None:
    saved.rename(tmp_path / "moved")
    identity = CalibratedJury(CalibratedJuryOptions(model=tmp_path / "moved")).identity()
    fitted(with_versions(planted(100, JUDGES, ties=0.2), "1")).save(saved)
    assert CalibratedJury(CalibratedJuryOptions(model=saved)).identity() == identity
    fitted(planted(99, JUDGES)).save(saved)
    assert CalibratedJury(CalibratedJuryOptions(model=saved)).identity() != identity


def test_the_judges_it_was_fitted_on_are_welcome(saved: Path) -> None:
    jury = CalibratedJury(CalibratedJuryOptions(model=saved))
    jury.check_judges({"good": "good-1", "fair": "fair-1", "coin": "whatever"})
    jury.check_judges({"good": "good-1", "fair": "", "coin": ""})


@pytest.mark.parametrize(
    ("asked", "fault"),
    [
        (
            {"good": "good-2", "fair": "fair-1", "coin": ""},
            "'good' is another than the jury's: other settings of the judge itself",
        ),
        ({"good": "good-1", "coin": ""}, "'fair', one of the jury's, is not asked"),
        (
            {"good": "", "fair": "", "coin": "", "goood": ""},
            r"'goood' is not one of the jury's; did you mean 'good'\? \(known: coin, fair, good\)",
        ),
    ],
)
def test_other_judges_are_refused_before_they_are_asked(
    saved: Path, asked: dict[str, str], fault: str
) -> None:
    jury = CalibratedJury(CalibratedJuryOptions(model=saved))
    with pytest.raises(UsageError, match=fault) as caught:
        jury.check_judges(asked)
    assert str(saved) in str(caught.value)
    assert "--save-jury" in (caught.value.hint or "")


def test_a_folder_of_another_learnt_aggregator_is_said_to_be_one(saved: Path) -> None:
    with pytest.raises(UsageError, match=r"'dawid-skene' .*: what is saved there is calibrated") as caught:
        DawidSkene(DawidSkeneOptions(model=saved))
    assert "use: calibrated" in (caught.value.hint or "")
    (saved / "calibrated.json").unlink()
    with pytest.raises(UsageError, match=r"dawid-skene\.json cannot be read"):
        DawidSkene(DawidSkeneOptions(model=saved))


def test_verdicts_of_other_judges_are_refused(saved: Path) -> None:
    jury = CalibratedJury(CalibratedJuryOptions(model=saved))
    with pytest.raises(UsageError, match="'stranger' is not one of the jury's"):
        said(jury, good=1, stranger=1)


def test_votes_given_with_different_settings_cannot_be_mixed(planted: Planted) -> None:
    mixed = [
        *with_versions(planted(50, JUDGES), "1"),
        *with_versions(planted(50, JUDGES, seed=1), "2"),
    ]
    with pytest.raises(
        UsageError, match=r"'good' voted with 2 different settings \(good-1, good-2\)"
    ) as caught:
        fitted(mixed)
    assert "coin" not in str(caught.value)


def test_too_little_to_learn_from_is_refused(planted: Planted) -> None:
    with pytest.raises(UsageError, match="9 of 9 items"):
        fitted(planted(9, JUDGES))
    with pytest.raises(UsageError, match="0 of 30 items"):
        fitted(planted(30, JUDGES, ties=1.0))
    with pytest.raises(UsageError, match="no judge voted"):
        fitted([LabelledItem(item="0", label="A")])


def test_what_was_not_fitted_does_not_decide() -> None:
    with pytest.raises(UsageError, match="'calibrated' of jurist-calibrate has yet to learn"):
        said(CalibratedJury(), good=1)


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        (None, "cannot be read"),
        ("{", "cannot be read"),
        ("[]", "not in format 1"),
        ('{"format": 2, "made_by": "jurist-calibrate 9.0"}', "not in format 1"),
        ('{"format": 1, "made_by": "us", "items": "many"}', "calibrated.json.items: .*integer"),
    ],
)
def test_a_file_that_is_none_is_named(tmp_path: Path, text: str | None, fault: str) -> None:
    if text is not None:
        (tmp_path / "calibrated.json").write_text(text)
    with pytest.raises(UsageError, match=fault) as caught:
        CalibratedJury(CalibratedJuryOptions(model=tmp_path))
    assert str(tmp_path / "calibrated.json") in str(caught.value)
