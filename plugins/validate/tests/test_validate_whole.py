"""The whole validation: who is measured on what, what is recommended, and what is said of it."""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from jurist.aggregators import Chain, ConfidenceThreshold, MajorityVote
from jurist.contracts import LearntAggregator
from jurist.errors import UsageError
from jurist.records import Comparison, Decision, JudgeOutcome
from jurist.validation.labelled import LabelledItem, read_labelled
from jurist.validation.result import Thresholds, Validation
from jurist_validate import report as records
from jurist_validate import text as text_module
from jurist_validate.cross_validation import folds_of
from jurist_validate.plugin import jurist_validation
from jurist_validate.report import Report
from jurist_validate.table import shortened, table

DOCUMENT = Path(__file__).parents[3] / "docs" / "validation.md"
SWAPPED = {"A": "B", "B": "A", "tie": "tie", None: None, "ab": "ba", "ba": "ab"}


def validate(items, subject="majority", seed=0, thresholds=None, **aggregators) -> Validation:
    aggregators = aggregators or {"majority": MajorityVote}
    return jurist_validation(
        items=items,
        aggregators=aggregators,
        subject=subject,
        thresholds=thresholds or Thresholds(),
        seed=seed,
    )


def report_of(validation: Validation) -> Report:
    """The report as it is after JSON."""
    return Report.model_validate_json(json.dumps(validation.report))


def rater(validation: Validation, name: str):
    return next(each for each in report_of(validation).raters if each.name == name)


def panel(
    count: int, seed: int = 0, right: Sequence[float] = (0.85, 0.7, 0.6), **fields
) -> list[LabelledItem]:
    """Items of judges that are right with these probabilities, in either order by itself."""
    draw = random.Random(seed)
    found = []
    for number in range(count):
        label = draw.choice("AB")
        votes = [
            {
                "judge": f"judge{place}",
                "order": order,
                "verdict": label if draw.random() < p else SWAPPED[label],
                "confidence": round(draw.uniform(0.55, 0.99), 2),
                "usd": 0.01,
            }
            for place, p in enumerate(right)
            for order in ("ab", "ba")
        ]
        row = {
            "item": f"q{number}",
            "label": label,
            "tags": [draw.choice(["easy", "hard"])],
            "prompt": f"question {number}",
            "response_a": "a" * draw.randint(1, 50),
            "response_b": "b" * draw.randint(1, 50),
            "votes": votes,
        }
        found.append(read_labelled({**row, **fields}))
    return found


def swapped(item: LabelledItem) -> LabelledItem:
    """The same item with the other response called A."""
    votes = [
        {**vote.model_dump(), "verdict": SWAPPED[vote.verdict], "order": SWAPPED[vote.order]}
        for vote in item.votes
    ]
    return read_labelled(
        {
            **item.model_dump(mode="json"),
            "label": SWAPPED[item.label],
            "response_a": item.response_b,
            "response_b": item.response_a,
            "votes": votes,
        }
    )


class Memory(LearntAggregator):
    """Knows the label of every item it was fitted on by heart, and draws the others."""

    def __init__(self) -> None:
        super().__init__()
        self.known: dict[str, str] = {}
        self.draw = random.Random(0)
        self.decided: list[str] = []

    def fit(self, items: Sequence[LabelledItem]) -> None:
        for item in items:
            self.known[item.comparison.id] = item.label
            self.known[item.comparison.swapped().id] = SWAPPED[item.label]

    def save(self, folder: Path) -> None:
        raise NotImplementedError

    def decide(self, comparison: Comparison, outcomes: Sequence[JudgeOutcome]) -> Decision:
        label = self.known.get(comparison.id) or self.draw.choice("AB")
        return Decision(status="decided", probability=float(label == "A"))


class Unlearnable(Memory):
    def fit(self, items: Sequence[LabelledItem]) -> None:
        raise UsageError("12 items are too few to learn from", hint="label 20")


# --- swapping ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("part", [1, 2])
def test_it_changes_nothing_which_response_is_called_a(part):
    items = panel(60)
    turned = [swapped(item) if n % part == 0 else item for n, item in enumerate(items)]
    before, after = (report_of(validate(each)) for each in (items, turned))
    for old, new in zip(before.raters, after.raters, strict=True):
        assert old.name == new.name
        for name in ("labels", "agreement", "absences", "position", "length", "kappa", "coverage"):
            assert numbers(getattr(old.overall, name)) == pytest.approx(
                numbers(getattr(new.overall, name))
            ), name
    assert before.recommendation == after.recommendation
    assert numbers(before.jury) == pytest.approx(numbers(after.jury))


def numbers(record) -> list[float]:
    """Every number in a record, in its order."""
    found: list[float] = []

    def look(value) -> None:
        if isinstance(value, dict):
            value = list(value.values())
        if isinstance(value, list):
            for each in value:
                look(each)
        elif isinstance(value, (int, float)):
            found.append(value)

    look(
        [each.model_dump() for each in record]
        if isinstance(record, list)
        else record.model_dump()
        if record
        else []
    )
    return found


# --- cross-validation --------------------------------------------------------------------------------


def test_what_is_learnt_is_never_measured_on_what_it_was_learnt_from():
    draw = random.Random(7)
    items = [item.model_copy(update={"label": draw.choice("AB")}) for item in panel(400)]
    found = rater(validate(items, "memory", memory=Memory), "memory")
    assert found.folds == 5
    assert found.overall.labels.accuracy.n == 400
    assert found.overall.labels.accuracy.low < 0.5 < found.overall.labels.accuracy.high


def test_the_swapped_twin_of_an_item_is_not_learnt_from_either():
    items = panel(200)
    twins = [swapped(item).model_copy(update={"item": f"twin of {item.item}"}) for item in items]
    draw = random.Random(7)
    labels = [draw.choice("AB") for _ in items]
    both = [item.model_copy(update={"label": label}) for item, label in zip(items, labels, strict=True)]
    both += [
        item.model_copy(update={"label": SWAPPED[label]}) for item, label in zip(twins, labels, strict=True)
    ]
    found = rater(validate(both, "memory", memory=Memory), "memory").overall.labels.accuracy
    assert found.low < 0.5 < found.high


def test_a_chain_with_something_to_learn_is_fitted_in_folds_too():
    draw = random.Random(7)
    items = [item.model_copy(update={"label": draw.choice("AB")}) for item in panel(200)]
    found = rater(validate(items, "chain", chain=lambda: Chain([Memory()])), "chain")
    assert found.folds == 5
    assert found.overall.labels.accuracy.mean < 0.65


class Saved(Memory):
    """A memory that comes with what it learnt, and may know of which prompts."""

    def __init__(self, items: Sequence[LabelledItem], *, tells: bool = True) -> None:
        super().__init__()
        Memory.fit(self, items)
        self.prompts = frozenset(item.comparison.prompt.id for item in items) if tells else None

    @property
    def is_learnt(self) -> bool:
        return True

    def learnt_prompts(self) -> frozenset[str] | None:
        return self.prompts

    def fit(self, items: Sequence[LabelledItem]) -> None:
        raise AssertionError("it decides as it is")


def test_a_saved_one_is_measured_as_it_is_and_said_to_know_what_it_knows():
    draw = random.Random(7)
    items = [item.model_copy(update={"label": draw.choice("AB")}) for item in panel(200)]
    for make in (lambda: Saved(items[:50]), lambda: Chain([Saved(items[:50]), MajorityVote()])):
        validation = validate(items, "memory", memory=make)
        found = rater(validation, "memory")
        assert (found.folds, found.saved, found.seen) == (None, True, 50)
        assert "(as saved)" in validation.reason
        assert "It learnt from the prompts of 50 of these 200 items" in validation.reason
        assert (
            "† memory: as saved; it learnt from the prompts of 50 of these 200 items"
            in validation.text.replace("\n  ", " ")
        )
        assert "memory†" in validation.text
    assert rater(validate(items[:50], "memory", memory=lambda: Saved(items)), "memory").seen == 50
    unseen = validate(items[50:], "memory", memory=lambda: Saved(items[:50]))
    assert rater(unseen, "memory").seen == 0
    assert "It learnt from" not in unseen.reason
    assert 0.3 < unseen.accuracy.mean < 0.7
    silent = validate(items, "memory", memory=lambda: Saved(items, tells=False))
    assert rater(silent, "memory").seen is None
    assert "does not say which items it learnt from" in silent.reason
    both = rater(validate(items, "both", both=lambda: Chain([Saved(items[:50]), Memory()])), "both")
    assert (both.folds, both.saved, both.seen) == (5, True, 50)
    plain = rater(validate(items), "majority")
    assert (plain.folds, plain.saved, plain.seen) == (None, False, 0)


def test_folds_hold_every_item_once_and_labels_evenly():
    items = panel(100)
    folds = folds_of(items, 0)
    assert sorted(place for fold in folds for place in fold) == list(range(100))
    assert len(folds) == 5
    shares = [sum(items[place].label == "A" for place in fold) / len(fold) for fold in folds]
    whole = sum(item.label == "A" for item in items) / 100
    assert all(abs(each - whole) < 0.06 for each in shares)
    assert folds_of(items, 0) == folds
    assert folds_of(items, 1) != folds


def test_items_of_one_prompt_share_a_fold():
    items = [item.model_copy(update={"prompt": panel(8)[n % 8].prompt}) for n, item in enumerate(panel(80))]
    folds = folds_of(items, 0)
    for prompt in range(8):
        assert sum(any(place % 8 == prompt for place in fold) for fold in folds) == 1


def test_few_prompts_or_a_rare_label_make_fewer_or_plain_folds():
    three = panel(3)
    assert len(folds_of(three, 0)) == 3
    rare = [*panel(40), panel(41)[-1].model_copy(update={"label": "tie"})]
    assert len(folds_of(rare, 0)) == 5
    with pytest.raises(UsageError, match="at least two prompts"):
        folds_of(three[:1], 0)


def test_an_aggregator_that_cannot_be_fitted_is_said_and_not_trusted():
    found = validate(panel(12), "jury", jury=Unlearnable, majority=MajorityVote)
    assert found.recommendation == "distrust"
    assert found.accuracy.n == 0
    assert "12 items are too few to learn from" in found.reason
    assert "12 items are too few to learn from" in found.text
    assert rater(found, "jury").overall is None
    assert rater(found, "majority").overall.items == 12


# --- the recommendation ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("right", "word", "said"),
    [
        (400, "trust", "at least 80%."),
        (330, "trust", "at least 80%, though the interval reaches below 80%"),
        (312, "warn", "between 75% and 80%; the interval reaches below 75%"),
        (296, "distrust", "below 75%, though the interval reaches above 75%"),
        (100, "distrust", "below 75%."),
    ],
)
def test_the_recommendation_goes_by_the_thresholds_and_names_the_interval(items, right, word, said):
    found = validate(items(*["A:AA"] * right, *["A:BB"] * (400 - right)), "judge")
    assert (found.recommendation, found.accuracy.mean) == (word, right / 400)
    assert said in found.reason
    assert found.recommendation.upper() in found.text


def test_thresholds_can_be_set(items):
    rows = items(*["A:AA"] * 70, *["A:BB"] * 30)
    assert validate(rows, "judge", thresholds=Thresholds(warn=0.6, trust=0.7)).recommendation == "trust"
    assert validate(rows, "judge", thresholds=Thresholds(warn=0.6, trust=0.8)).recommendation == "warn"


def test_a_jury_that_abstains_on_everything_is_not_trusted():
    found = validate(panel(40), "strict", strict=lambda: Chain([Silent()]))
    assert found.recommendation == "distrust"
    assert "gives no side on any of 40 items" in found.reason
    assert (found.accuracy.n, found.accuracy.low, found.accuracy.high) == (0, 0, 1)
    assert rater(found, "strict").overall.absences.reasons == {"no_majority": 40}


class Silent(MajorityVote):
    def decide(self, comparison: Comparison, outcomes: Sequence[JudgeOutcome]) -> Decision:
        return Decision(status="undecided", reason="no_majority")


def test_three_right_labels_are_not_trusted(items):
    found = validate(items(*["A:AA"] * 3, *["A:AB"] * 97), "judge")
    assert found.recommendation == "distrust"
    assert "cannot be told from guessing" in found.reason
    assert "on 3% of 100 items" in found.reason


def test_labels_that_are_all_ties_say_nothing_of_sides(items):
    found = validate(items(*["t:AA"] * 10), "judge")
    assert found.recommendation == "distrust"
    assert "every item is labelled a tie" in found.reason


def test_a_better_judge_and_a_better_baseline_are_named():
    items = panel(200, right=(0.95, 0.3, 0.3))
    found = validate(items)
    assert "judge0 is better: by" in found.reason
    assert report_of(found).best_judge == "judge0"
    longest = [
        item.model_copy(update={"response_a": "a" * (9 if item.label == "A" else 1), "response_b": "b" * 5})
        for item in items
    ]
    assert "longest-response is better: by" in validate(longest).reason
    assert "better" not in validate(longest, "longest-response").reason


def test_a_judge_that_was_asked_little_is_not_the_best():
    items = [
        item.model_copy(update={"votes": item.votes[:4] if n else item.votes})
        for n, item in enumerate(panel(50, right=(0.8, 0.6, 1.0)))
    ]
    assert report_of(validate(items)).best_judge == "judge0"


def test_an_unknown_subject_gets_the_near_miss():
    with pytest.raises(UsageError, match=r"'majorty'.*did you mean 'majority'"):
        validate(panel(5), "majorty")
    with pytest.raises(UsageError, match="no labelled items"):
        validate([])


# --- aggregators, orders, extremes -------------------------------------------------------------------


def test_a_jury_is_measured_in_each_order_as_a_judge_is(votes_on):
    said = {"one": "AB", "two": "AB", "three": "AA"}  # two of three follow the first slot
    found = rater(validate([votes_on(n, "A", said) for n in range(10)]), "majority").overall
    assert found.agreement.mean_of_orders.mean == 0.5
    assert found.agreement.right_in_both.mean == 0
    assert found.position.same_slot_first.mean == 1
    assert found.labels.coverage.mean == 0  # both orders together: one for A, two ties


def test_a_tie_that_an_aggregator_finds_is_a_verdict(votes_on):
    found = rater(
        validate([votes_on(n, "t", {"one": "tt", "two": "tt"}) for n in range(5)]), "majority"
    ).overall
    assert found.agreement.mean_of_orders.mean == 1
    assert found.absences.tied.mean == 1
    assert found.labels.sided_on_ties.mean == 0


def test_items_without_votes_count_against_the_jury_and_for_no_judge(votes_on):
    rows = [votes_on(0, "A", {"one": "AA"}), votes_on(1, "A", {})]
    found = validate(rows)
    assert rater(found, "one").overall.items == 1
    assert rater(found, "majority").overall.labels.coverage.mean == 0.5


def test_texts_without_votes_give_the_baseline_alone():
    items = [item.model_copy(update={"votes": ()}) for item in panel(30)]
    found = validate(items, "longest-response")
    assert [each.name for each in report_of(found).raters] == ["majority", "longest-response"]
    assert rater(found, "longest-response").overall.labels.accuracy.n > 25
    assert rater(found, "majority").overall.agreement.mean_of_orders is None


@pytest.mark.parametrize("signs", ["AA", "AB", "tt", "--", "!!", "A.", ".!", "A-", "t!"])
@pytest.mark.parametrize("label", ["A", "tie"])
@pytest.mark.parametrize("count", [1, 2, 7])
def test_nothing_breaks_it(votes_on, signs, label, count):
    rows = [votes_on(n, label, {"one": signs, "two": signs[::-1]}) for n in range(count)]
    found = validate(rows, confidence=ConfidenceThreshold, majority=MajorityVote)
    assert found.text
    assert all(0 <= each.low <= each.mean <= each.high <= 1 for each in [found.accuracy])
    assert "inf" not in json.dumps(found.report).lower()
    assert "nan" not in json.dumps(found.report, allow_nan=False).lower()


def test_the_same_seed_gives_the_same_report():
    items = panel(60)
    assert validate(items, "m", m=Memory) == validate(items, "m", m=Memory)
    assert validate(items, seed=-3).report["seed"] == 2**32 - 3


# --- the text and the report -------------------------------------------------------------------------


def test_the_text_fits_a_terminal():
    items = panel(300, right=(0.9, 0.8, 0.7, 0.6, 0.55, 0.5))
    aggregators = {"majority": MajorityVote, "confidence": ConfidenceThreshold, "learnt": Memory}
    text = validate(items, "learnt", **aggregators).text
    lines = text.splitlines()
    assert max(map(len, lines)) <= 100
    assert len(lines) <= 90
    for name in (*aggregators, "judge0", "judge5", "longest-response", "easy", "hard"):
        assert name in text
    assert "learnt*" in text
    assert "* cross-validated in 5 folds" in text


def test_long_names_keep_both_ends():
    assert shortened("some/very/long/name/of-a-judge", 12) == "some/…-judge"
    assert shortened("short", 8) == "short   "


def test_long_names_and_names_that_stand_twice_are_numbered_and_explained():
    aggregators = {"calibrated > confidence > majority": MajorityVote, "judge0": MajorityVote}
    text = validate(panel(40), "judge0", **aggregators).text
    rows = re.findall(r"^(\(\d\) \S.{0,15})  ", text, flags=re.M)
    assert set(map(str.rstrip, rows)) == {"(1) judge0", "(2) calibra…majority", "(3) judge0"}
    assert "\n(1) judge judge0\n(2) aggregator calibrated > confidence > majority\n" in text
    assert max(map(len, text.splitlines())) <= 100


def test_ties_can_be_seen(votes_on):
    items = [
        votes_on(n, "A", {"one": "AA" if n % 2 else "AB", "two": "AA" if n % 2 else "BA"}) for n in range(10)
    ]
    text = validate(items).text
    head, *rows = next(part for part in text.split("\n\n") if part.startswith("reliability")).splitlines()
    assert head.split() == ["reliability", "coverage", "abstained/undecided", "failed", "tied"]
    (majority,) = (row for row in rows if row.startswith("majority"))
    assert re.split(r"  +", majority)[1::3] == ["50 [24–76]", "50 [24–76]"]


def test_every_column_of_the_text_is_documented(monkeypatch):
    columns: list[str] = []

    def recorded(heading, names, rows):
        columns.extend([] if heading == "mean of orders" else names)
        return table(heading, names, rows)

    monkeypatch.setattr(text_module, "table", recorded)
    validation = validate(panel(40))
    assert validation.text.rstrip().endswith(text_module.COLUMNS)
    section = re.search(r"^## The text$(.*?)(?=^## )", DOCUMENT.read_text(encoding="utf-8"), re.M | re.S)[1]
    documented = dict(re.findall(r"^\| (?!column|-)([^|]+) \| `([\w.]+)`[^|]* \|", section, flags=re.M))
    assert list(documented) == [*(each for each in columns if "%" not in each), "100% … 50%"]
    overall = rater(validation, "majority").overall
    for path in documented.values():
        value = overall
        for name in path.split("."):
            assert value is None or name in type(value).model_fields, path
            value = getattr(value, name, None)


def test_tags_are_measured_by_themselves():
    items = panel(80)
    found = rater(validate(items), "judge0")
    for tag in ("easy", "hard"):
        tagged = [item for item in items if tag in item.tags]
        assert found.by_tag[tag] == rater(validate(tagged), "judge0").overall


def test_the_report_says_what_its_words_mean():
    report = report_of(validate(panel(20)))
    assert report.definitions.keys() == {"right_in_both", "mean_of_orders", "sum_of_verdicts", "ties_dropped"}
    assert report.thresholds == {"warn": 0.75, "trust": 0.80}
    assert report.labels["A"] + report.labels["B"] == report.items == 20


@pytest.mark.parametrize(
    "model",
    [
        each
        for each in vars(records).values()
        if isinstance(each, type) and each.__module__ == records.__name__
    ],
)
def test_every_field_of_the_report_is_documented(model):
    text = DOCUMENT.read_text(encoding="utf-8")
    section = re.search(rf"^### `{model.__name__}`$(.*?)(?=^#|\Z)", text, flags=re.M | re.S)
    assert section, f"docs/validation.md has no heading of {model.__name__}"
    rows = re.findall(r"^\| `(\w+)` \|", section[1], flags=re.M)
    assert sorted(rows) == sorted(model.model_fields)


def test_the_plugin_module_is_light():
    code = (
        "import sys, jurist_validate.plugin; "
        "print([m for m in ('numpy', 'scipy', 'sklearn', 'statsmodels', 'krippendorff') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
