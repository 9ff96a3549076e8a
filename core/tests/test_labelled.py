"""Files of labelled items, and the outcomes that recorded votes stand for."""

from __future__ import annotations

import json

import pytest

from jurist.errors import UsageError
from jurist.labelled import LabelledItem, Vote, load_labelled, read_labelled
from jurist.records import Abstention, Failure, Judgment, Usage

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
    vote = Vote.of(outcome, version="v1")
    assert vote.outcome() == outcome.model_copy(update={"usage": Usage()})
    assert (vote.usd, vote.version) == (outcome.usage.usd, "v1")


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


def test_an_item_stands_in_a_file_once(tmp_path):
    path = tmp_path / "items.jsonl"
    path.write_text('{"item": "a", "label": "A"}\n{"item": "a", "label": "B"}\n')
    with pytest.raises(UsageError, match="'a' stands there more than once"):
        load_labelled(path)
