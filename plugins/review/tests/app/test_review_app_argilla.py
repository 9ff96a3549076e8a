"""The sample as a dataset of Argilla, and answers back as votes."""

from __future__ import annotations

import json
import uuid
from pathlib import Path
from typing import Any

import pytest

from jurist.errors import UsageError
from jurist.records import Message
from jurist.validation.spot_check import ToLabel
from jurist_review.app.argilla import export_to_argilla, import_from_argilla, record_of
from jurist_review.app.desk import Desk, Sampling
from jurist_review.app.exchange import exchange
from jurist_review.app.queue import Queue, shown_order

ANN, BOB = str(uuid.UUID(int=1)), str(uuid.UUID(int=2))


@pytest.fixture
def queue(desk: Desk) -> Queue:
    found = desk.queue()
    assert found is not None
    return found


def answered(folder: Path, answers: dict[str, list[tuple[str, str]]], **changes: Any) -> None:
    """Put answers into a dataset as Argilla's ``to_disk`` writes them."""
    records = json.loads((folder / "records.json").read_text())
    for record in records:
        given = answers.get(record["id"], [])
        if given:
            record["responses"] = {"better": [{"value": value, "user_id": user} for user, value in given]}
            record["status"] = "completed"
        record.update(changes)
    (folder / "records.json").write_text(json.dumps(records))


def test_a_record_shows_the_sides_in_the_order_of_everybody_and_nothing_of_the_jury() -> None:
    row = ToLabel(
        item="0" * 16,
        prompt=(Message(role="user", content="Hi"), Message(role="assistant", content="Yes?")),
        response_a="a",
        response_b="b",
        stratum="contested",
        probability=0.5,
    )
    sides = ("a", "b") if shown_order(row.item, "argilla") == "ab" else ("b", "a")
    assert record_of(row) == {
        "id": "0" * 16,
        "fields": {"prompt": "user: Hi\n\nassistant: Yes?", "first": sides[0], "second": sides[1]},
        "metadata": {},
        "suggestions": {},
        "responses": {},
        "vectors": {},
        "status": "pending",
    }


def test_the_settings_are_those_that_argilla_writes(queue: Queue, tmp_path: Path) -> None:
    assert export_to_argilla(queue, tmp_path / "out") == 20
    settings = json.loads((tmp_path / "out/.argilla/settings.json").read_text())
    assert [field["name"] for field in settings["fields"]] == ["prompt", "first", "second"]
    assert settings["questions"][0]["settings"]["options"][0] == {"value": "first", "text": "A is better"}
    assert json.loads((tmp_path / "out/.argilla/dataset.json").read_text())["name"] == "jurist-compare"
    with pytest.raises(UsageError, match="not empty"):
        export_to_argilla(queue, tmp_path / "out")


def test_answers_come_back_as_votes_in_the_comparisons_own_sides(
    desk: Desk, queue: Queue, tmp_path: Path
) -> None:
    folder = tmp_path / "out"
    export_to_argilla(queue, folder)
    items = [each.item for each in queue.drawn()][:3]
    answered(folder, {items[0]: [(ANN, "first"), (BOB, "second")], items[1]: [(ANN, "tie")]})
    taken = import_from_argilla(queue, desk.votes, folder)
    assert (taken.added, taken.known, taken.reviewers) == (3, 0, 2)
    own = (
        {"first": "A", "second": "B"}
        if shown_order(items[0], "argilla") == "ab"
        else {"first": "B", "second": "A"}
    )
    assert {(e.reviewer, e.item): e.label for e in desk.votes.standing("compare")} == {
        (f"argilla {ANN}", items[0]): own["first"],
        (f"argilla {BOB}", items[0]): own["second"],
        (f"argilla {ANN}", items[1]): "tie",
    }
    answered(folder, {items[0]: [(ANN, "second"), (BOB, "second")]})
    taken = import_from_argilla(queue, desk.votes, folder)
    assert (taken.added, taken.known) == (1, 2)
    assert len(desk.votes.history("compare")) == 4


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"responses": {"better": [{"value": "maybe", "user_id": ANN}]}}, "not a record of this dataset"),
        ({"responses": {"better": [{"value": "tie", "user_id": "x"}]}}, "not a record of this dataset"),
        ({"id": "f" * 16, "responses": {"better": [{"value": "tie", "user_id": ANN}]}}, "not in the sample"),
    ],
)
def test_faulty_records_are_listed_and_nothing_is_kept(
    desk: Desk, queue: Queue, tmp_path: Path, changes: dict[str, Any], message: str
) -> None:
    export_to_argilla(queue, tmp_path / "out")
    answered(tmp_path / "out", {}, **changes)
    with pytest.raises(UsageError, match=message) as caught:
        import_from_argilla(queue, desk.votes, tmp_path / "out")
    assert len(caught.value.faults) == 20
    assert desk.votes.history("compare") == []


def test_files_are_exchanged_without_a_server(run: Path, desk: Desk, queue: Queue, tmp_path: Path) -> None:
    folder = tmp_path / "out"
    assert "20 comparisons" in exchange(run, Sampling(), "to-argilla", folder)
    answered(folder, {each.item: [(ANN, "tie")] for each in queue.drawn()})
    assert exchange(run, Sampling(), "from-argilla", folder) == "added 20 votes of 1 reviewer, 0 known before"
    said = exchange(run, Sampling("compare"), "export", tmp_path / "labels.jsonl")
    assert "labels.jsonl: 20 labels" in said
    assert "right, of all labels: 50.0%" in said
    labels = [json.loads(line)["label"] for line in (tmp_path / "labels.jsonl").read_text().splitlines()]
    assert labels == ["tie"] * 20
