"""Files of labelled items, and the outcomes that recorded votes stand for."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jurist.errors import UsageError
from jurist.judges.orders import merged
from jurist.records import Abstention, Failure, Judgment, Usage
from jurist.validation.labelled import LabelledItem, Provenance, Vote, load_labelled, read_labelled, votes_of

ROW = {
    "item": "q7",
    "label": "A",
    "tags": ["hard"],
    "prompt": "Which?",
    "response_a": "this",
    "response_b": "that",
    "votes": [
        {"judge": "one", "order": "ab", "verdict": "A", "confidence": 0.8},
        {"judge": "one", "order": "ba", "verdict": "B"},
        {"judge": "two", "order": "ab", "verdict": None},
        {"judge": "two", "order": "ba", "verdict": "A"},
        {"judge": "three", "order": "ba", "verdict": "tie"},
    ],
}


def test_every_judge_gives_one_outcome():
    one, two, three = read_labelled(ROW).outcomes
    assert isinstance(one, Judgment)
    assert one.preference == pytest.approx((0.8 + 0.0) / 2)
    assert [part.order for part in one.parts] == ["ab", "ba"]
    assert isinstance(two, Abstention)
    assert two.reason == "unparsed"
    assert isinstance(three, Judgment)
    assert (three.preference, three.order) == (0.5, "ba")


def test_repeated_samples_of_one_order_are_averaged():
    votes = [{"judge": "j", "order": "ab", "verdict": verdict} for verdict in ("A", "A", "B", None)]
    (outcome,) = read_labelled({"item": 1, "label": "B", "votes": votes}).outcomes
    assert isinstance(outcome, Judgment)
    assert outcome.preference == pytest.approx(2 / 3)
    assert len(outcome.parts) == 4


@pytest.mark.parametrize(
    ("verdict", "confidence", "preference"),
    [
        ("A", 0.9, 0.9),
        ("B", 0.9, 0.1),
        ("A", None, 1.0),
        ("tie", 0.7, 0.5),
        ("A", 0.2, 0.51),
        ("B", 0.0, 0.49),
        ("A", 0.5, 0.51),
        ("A", 0.503, 0.503),
        ("B", 0.505, 0.495),
    ],
)
def test_confidence_never_turns_a_verdict_round(verdict, confidence, preference):
    vote = Vote(judge="j", verdict=verdict, confidence=confidence)
    assert vote.preference == pytest.approx(preference)


@pytest.mark.parametrize(
    "outcome",
    [
        Judgment(preference=0.25, source="j", order="ba", method="recorded", usage=Usage(usd=0.5)),
        Judgment(preference=1.0, source="j", order="ab", method="recorded"),
        Judgment(preference=0.5, source="j", order="ab", method="recorded"),
        Abstention(reason="refused", source="j", order="ba"),
        Failure(error="recorded as failed", source="j", order="ab"),
    ],
)
def test_a_vote_records_an_outcome(outcome):
    vote = Vote.of(outcome, Provenance(versions={"j": "v1", "k": "v2"}, seed=3))
    assert vote.outcome() == outcome.model_copy(update={"usage": Usage()})
    assert (vote.usd, vote.version, vote.seed) == (outcome.usage.usd, "v1", 3)
    assert Vote.of(outcome, Provenance(unpriced=("k", "j"))).usd is None


@given(st.floats(0, 1))
def test_a_vote_keeps_a_preference_to_the_last_digit(preference):
    vote = Vote.of(Judgment(preference=preference, source="j"))
    again = Vote.model_validate_json(vote.to_json())
    assert again.outcome().preference == preference
    assert 0.5 <= (vote.confidence or 1) <= 1


def test_orders_that_nearly_cancel_out_do_so_in_a_file_too():
    ab, ba = (Judgment(preference=p, source="j", order=o) for p, o in ((0.503, "ab"), (0.495, "ba")))
    item = LabelledItem(item="x", label="B", votes=votes_of([merged(ab, ba)], Provenance()))
    assert item.outcomes[0].preference == merged(ab, ba).preference == 0.499


def test_a_probability_of_another_verdict_is_a_fault():
    with pytest.raises(ValueError, match="is of a verdict B"):
        Vote(judge="j", verdict="A", confidence=0.9, probability=0.1)


def test_items_round_trip_through_a_file(tmp_path):
    path = tmp_path / "items.jsonl"
    item = read_labelled(ROW)
    path.write_text(item.to_json() + "\n")
    assert load_labelled(path) == [item]
    assert item.has_texts
    assert item.comparison.response_a.text == "this"
    assert not LabelledItem(item="x", label="tie").has_texts


def test_all_faults_of_a_file_are_told_at_once(tmp_path):
    path = tmp_path / "items.jsonl"
    rows = [
        {"item": "a", "label": "first"},
        {"item": "b", "label": "A", "votes": [{"judge": "j", "verdict": "A", "confidence": 2}]},
        {"label": "A"},
        ["no object"],
    ]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    with pytest.raises(UsageError) as raised:
        load_labelled(path)
    assert all(f"items.jsonl:{number}" in str(raised.value) for number in range(1, 5))


def test_what_may_be_of_several_types_is_one_fault_of_a_row(tmp_path):
    path = tmp_path / "items.jsonl"
    row = {"item": "a", "label": "A", "votes": [{"judge": "j", "verdict": None, "reason": "odd"}]}
    path.write_text(json.dumps(row))
    with pytest.raises(UsageError) as raised:
        load_labelled(path)
    assert len(raised.value.faults) == 1
    assert raised.value.faults[0].startswith("items.jsonl:1.votes.0.reason: Input should be 'unparsed', ")


def test_an_item_stands_in_a_file_once(tmp_path):
    path = tmp_path / "items.jsonl"
    path.write_text('{"item": "a", "label": "A"}\n{"item": "b", "label": "B"}\n{"item": "a", "label": "B"}\n')
    with pytest.raises(UsageError, match=r"items\.jsonl:3: item 'a' stands there more than once, .* line 1"):
        load_labelled(path)
    path.write_text('{"item": "a", "label": "A"}\n\n{"item": "a", "label": "A"}\n')
    with pytest.raises(UsageError, match=r"items\.jsonl:3: item 'a' stands there more than once, .* line 1"):
        load_labelled(path)
