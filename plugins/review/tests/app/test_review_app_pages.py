"""Voting, browsing, following and exporting over HTTP, with forms as a browser without scripts posts them."""

from __future__ import annotations

import json
import re
import sqlite3
import time
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from jurist.contracts import TrainProgress
from jurist.engine.ledger import Ledger
from jurist.errors import UsageError
from jurist.records import Usage
from jurist_review.app.desk import Desk, Sampling
from jurist_review.app.live import read_state
from jurist_review.app.queue import shown_order
from jurist_review.progress_file import ProgressFile


def fields(page: str, form: str = "vote") -> dict[str, str]:
    """The hidden fields of a form."""
    part = page.split(f'<form id="{form}"', 1)[1].split("</form>", 1)[0]
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', part))


def press(client: TestClient, do: str, *, page: str = "", **changes: str) -> Any:
    """Post the form of a page with one of its buttons, and follow to the next page."""
    page = page or client.get("/review").text
    data = {**fields(page, "undo" if do == "undo" else "vote"), "do": do, **changes}
    return client.post("/review", data=data, follow_redirects=True)


def texts(page: str) -> list[str]:
    """The two responses in the order shown."""
    return re.findall(
        r"<h2 id=\"name-[AB]\">.*?<div class=\"passage\" dir=\"auto\">(.*?)</div>", page, flags=re.S
    )


def test_a_vote_is_for_the_response_that_was_shown(client: TestClient, desk: Desk) -> None:
    for choice in ("first", "second", "first", "second", "tie"):
        page = client.get("/review").text
        item = fields(page)["item"]
        shown = texts(page)
        answer = press(client, choice, page=page)
        assert "Saved: " in answer.text
        row = desk.rows.compared("compare", item)
        assert row is not None
        comparison = desk.rows.judged(row).comparison
        own = {"A": comparison.response_a.text, "B": comparison.response_b.text}
        event = desk.votes.history("compare", item)[-1]
        assert (event.shown == "ab") == (shown == [own["A"], own["B"]])
        assert event.label == "tie" if choice == "tie" else own[str(event.label)] == shown[choice == "second"]
    assert {e.shown for e in desk.votes.history("compare")} == {"ab", "ba"}
    assert "5 of 20 done" in client.get("/review").text


def test_undo_leads_back_to_the_comparison(client: TestClient, desk: Desk) -> None:
    item = fields(client.get("/review").text)["item"]
    press(client, "first", note="I am not sure")
    back = press(client, "undo")
    assert "the vote was undone" in back.text
    assert fields(back.text)["item"] == item
    assert "I am not sure" in back.text
    assert "0 of 20 done" in back.text
    assert [e.kind for e in desk.votes.history("compare")] == ["vote", "undo"]
    assert '<form id="undo"' not in back.text


def test_a_stale_tab_is_told_and_changes_nothing(client: TestClient, desk: Desk) -> None:
    first_tab = client.get("/review").text
    second_tab = client.get("/review").text
    assert press(client, "first", page=first_tab).status_code == 200
    answer = press(client, "second", page=second_tab)
    assert answer.status_code == 409
    assert "Nothing was saved, since another page of yours was there first: A is better." in answer.text
    assert len(desk.votes.history("compare")) == 1
    again = press(client, "second", page=answer.text)
    assert again.status_code == 200
    assert len(desk.votes.history("compare")) == 2


def test_the_same_form_sent_twice_is_one_vote(client: TestClient, desk: Desk) -> None:
    page = client.get("/review").text
    one, other = press(client, "tie", page=page), press(client, "tie", page=page)
    assert (one.status_code, other.status_code) == (200, 200)
    assert len(desk.votes.history("compare")) == 1


def test_a_note_alone_is_kept_and_the_comparison_stays(client: TestClient) -> None:
    page = client.get("/review").text
    answer = press(client, "note", page=page, note="look at <this>")
    assert fields(answer.text)["item"] == fields(page)["item"]
    assert "look at &lt;this&gt;</textarea>" in answer.text
    assert "0 of 20 done" in answer.text


def test_what_the_jury_said_is_hidden_until_the_vote(client: TestClient, desk: Desk) -> None:
    queue = desk.queue()
    assert queue is not None
    item = queue.drawn()[0].item
    row = desk.rows.compared("compare", item)
    assert row is not None
    waits = client.get(f"/item/{row.id}")
    assert (waits.status_code, waits.headers["location"]) == (303, f"/review?item={item}")
    listed = client.get("/browse?kind=comparison").text
    assert "20 comparisons that wait for your vote are left out" in listed
    assert ">100 rows<" in listed
    press(client, "tie", page=client.get(f"/review?item={item}").text)
    shown = client.get(f"/item/{row.id}").text
    assert "decides because of the sun" in shown
    assert ">101 rows<" in client.get("/browse?kind=comparison").text


def test_no_page_shows_a_waiting_item_to_somebody_without_a_name(desk: Desk, make_client: Any) -> None:
    client = make_client(desk, reviewer="")
    assert "Who are you?" in client.get("/review").text
    assert ">100 rows<" in client.get("/browse?kind=comparison").text
    assert client.post("/review", data={"item": "x"}).status_code == 409


def test_reviewers_have_names_queues_and_sides_of_their_own(client: TestClient, desk: Desk) -> None:
    press(client, "first")
    answer = client.post("/reviewers", data={"name": "  b\x00ö\u202eb  "}, follow_redirects=True)
    assert "0 of 20 done" in answer.text
    assert "b ö b" in answer.text
    page = client.get("/review").text
    press(client, "first", page=page)
    events = desk.votes.history("compare")
    assert [e.reviewer for e in events] == ["ann", "b ö b"]
    assert events[0].item == events[1].item
    assert events[1].shown == shown_order(events[1].item, "b ö b")
    table = client.get("/reviewers").text
    assert "Krippendorff" in table
    assert "ann and b ö b" in table
    assert client.post("/reviewers", data={"name": " \u202e"}).status_code == 400
    client.cookies.delete("jurist_review_8000_name")
    client.cookies.set("jurist_review_8000_name", f"{'0' * 12}.eve")  # of an earlier start on this port
    assert "ann ·" in client.get("/review").text


def test_history_keeps_what_was_undone(client: TestClient, desk: Desk) -> None:
    item = fields(client.get("/review").text)["item"]
    press(client, "first")
    press(client, "undo")
    press(client, "tie", note="now I see")
    row = desk.rows.compared("compare", item)
    assert row is not None
    page = client.get(f"/item/{row.id}").text
    assert re.findall(r"<td>(vote|undo|skip|note)( \w+)?( \(undone\))?</td>", page) == [
        ("vote", " A" if shown_order(item, "ann") == "ab" else " B", " (undone)"),
        ("undo", "", ""),
        ("vote", " tie", ""),
    ]
    assert "now I see" in page


def test_labels_and_history_can_be_downloaded(client: TestClient, desk: Desk) -> None:
    for do in ("first", "skip", "second"):
        press(client, do)
    rows = [json.loads(line) for line in client.get("/export/labels.jsonl").text.splitlines()]
    events = [json.loads(line) for line in client.get("/export/history.jsonl").text.splitlines()]
    assert {row["item"]: row["label"] for row in rows} == {
        event["item"]: event["label"] for event in events if event["kind"] == "vote"
    }
    assert [event["kind"] for event in events] == ["vote", "skip", "vote"]
    page = client.post("/export", data={"": ""}).text
    while "The labels are being added" in page:
        time.sleep(0.2)
        page = client.get("/export").text
    assert "2 labels are in" in page
    assert (desk.folder / "human_labels.jsonl").exists()


def test_an_export_that_takes_long_is_said_to_go_on(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, desk: Desk
) -> None:
    press(client, "first")
    monkeypatch.setattr("jurist_review.app.pages._PATIENCE", 0.0)
    page = client.post("/export", data={"": ""}).text
    assert "The labels are being added" in page
    assert "data-waiting" in page
    deadline = time.monotonic() + 60
    while "1 label is in" not in (page := client.get("/export").text):
        assert time.monotonic() < deadline
        time.sleep(0.2)
    assert "data-waiting" not in page
    assert len((desk.folder / "human_labels.jsonl").read_text().splitlines()) == 1


def test_an_export_without_labels_says_why(client: TestClient) -> None:
    page = client.post("/export", data={"": ""}).text
    while "The labels are being added" in page:
        time.sleep(0.2)
        page = client.get("/export").text
    assert "there are no labels to export yet" in page


def test_when_all_is_done_the_page_says_so(client: TestClient, desk: Desk) -> None:
    for _ in range(20):
        press(client, "tie")
    page = client.get("/review").text
    assert "All 20 are done" in page
    assert "agrees with people on 50.0%" in page
    assert "of all 108 labels" in page


def test_a_run_that_has_no_labels_yet_says_so(make_run: Any, make_judged: Any, make_client: Any) -> None:
    desk = Desk(make_run(make_judged(30), status="running"), Sampling(size=20))
    client = make_client(desk)
    assert "Nothing to review yet" in client.get("/review").text
    desk.catch_up()
    assert "No finished stage" in client.get("/review").text
    assert ">30 rows<" in client.get("/browse").text
    make_run(make_judged(120))
    assert "wait" not in client.get("/browse?kind=comparison").text
    assert ">0 rows<" in client.get("/browse?kind=comparison").text  # any could be in the sample
    desk.catch_up()
    assert "0 of 20 done" in client.get("/review").text


def test_faults_at_the_start_are_said(run: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="not the folder of a run"):
        Desk(tmp_path, Sampling())
    with pytest.raises(UsageError, match=r"no stage is called 'compar'.*compare"):
        Desk(run, Sampling(stage="compar"))


def test_the_live_view_follows_a_run(make_run: Any, make_judged: Any, make_client: Any) -> None:
    folder = make_run(make_judged(30), status="running")
    progress = ProgressFile(clock=iter([100.0, 100.2, 101.0, 102.0, 103.0, 105.0]).__next__)
    progress.run(folder)
    progress.stage("compare", 120)
    for outcome in ("preferred", "tie", "preferred", "preferred", "tie"):
        progress.outcome(outcome)
    with Ledger(folder / "ledger.sqlite") as ledger:
        ledger.put("k1", "x", "{}", Usage(prompt_tokens=10, completion_tokens=5, usd=0.25, seconds=1))
        ledger.put("k2", "y", "{}", Usage(prompt_tokens=1, usd=1.0))
        state = read_state(folder)
    assert state.status == "running"
    assert [(stage.name, stage.state) for stage in state.stages] == [("revise", "done"), ("compare", "work")]
    assert state.progress is not None
    assert (state.progress.done, state.progress.total) == (5, 120)
    assert state.progress.outcomes == {"preferred": 3, "tie": 2}
    assert state.left == pytest.approx(115)
    assert (state.usd, state.cap) == (1.25, 5)
    desk = Desk(folder, Sampling())
    desk.catch_up()
    client = make_client(desk)
    page = client.get("/live")
    for text in (
        "5 of 120",
        "as of 1970-01-01 00:01:45 UTC",
        "$1.25 of $5.00",
        "3 preferred",
        "Newest of compare",
    ):
        assert text in page.text
    assert client.get("/live", headers={"if-none-match": page.headers["etag"]}).status_code == 304
    with (folder / "stages/02-compare/judgments.jsonl.part").open("a") as file:
        file.write(make_judged(31)[30].to_json() + "\n")
    desk.catch_up()
    assert client.get("/live", headers={"if-none-match": page.headers["etag"]}).status_code == 200


def test_a_ledger_that_cannot_be_read_is_not_shown_as_nothing_spent(
    make_run: Any, make_judged: Any, make_client: Any
) -> None:
    folder = make_run(make_judged(5))
    assert read_state(folder).usd == 0
    (folder / "ledger.sqlite").write_bytes(b"no database at all" * 100)
    assert read_state(folder).usd is None
    page = make_client(Desk(folder, Sampling())).get("/live").text
    assert "the ledger cannot be read right now" in page
    assert "$0.00" not in page


def test_the_live_view_of_a_training_shows_its_newest_metrics(make_run: Any, make_judged: Any) -> None:
    folder = make_run(make_judged(5), status="running")
    recipe = (folder / "recipe.yaml").read_text().replace("stage: compare", "stage: train")
    (folder / "recipe.yaml").write_text(recipe)
    metrics = folder / "stages/02-compare/metrics.jsonl"
    metrics.write_text('{"step": 1, "loss": 0.5}\n{"step": 2, "loss": 0.25}\n{"step": 3, "lo')
    now = iter([0.0, 5.0, 9.0])
    progress = ProgressFile(clock=lambda: next(now))
    progress.run(folder)
    progress.stage("compare", None)
    progress.training(TrainProgress(step=6, total=8, metrics={"loss": 0.25}, warning="rewards rise"))
    state = read_state(folder)
    assert state.metrics == {"step": 2, "loss": 0.25}
    assert state.progress is not None
    assert (state.progress.warning, state.left) == ("rewards rise", pytest.approx(5 / 3))


def test_progress_is_written_once_a_second_and_at_the_end(make_run: Any, make_judged: Any) -> None:
    folder = make_run(make_judged(5), status="running")
    now = [0.0]
    progress = ProgressFile(clock=lambda: now[0])
    progress.run(folder)
    progress.stage("compare", 10)

    def done() -> int:
        return int(json.loads((folder / "review/progress.json").read_text())["done"])

    seen = []
    for second in (0.1, 0.5, 1.2, 1.3, 2.5, 2.6):
        now[0] = second
        progress.outcome("tie")
        seen.append(done())
    assert seen == [0, 0, 3, 3, 5, 5]
    progress.run(None)
    assert done() == 6


def test_progress_that_cannot_be_written_is_said_once_and_stops_no_run(
    make_run: Any, make_judged: Any, caplog: pytest.LogCaptureFixture
) -> None:
    folder = make_run(make_judged(5), status="running")
    (folder / "review").write_text("in the way")
    progress = ProgressFile(clock=iter(range(0, 100, 5)).__next__)
    progress.run(folder)
    progress.stage("compare", 10)
    for _ in range(3):
        progress.outcome("tie")
    progress.run(None)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    assert "live view of this run stands still" in caplog.text


def test_an_index_that_is_locked_waits(desk: Desk) -> None:
    with desk.index.connected() as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with desk.index.connected() as reading:  # readers are not kept out
            assert reading.execute("SELECT COUNT(*) FROM items").fetchone()[0] == 123
        assert time.monotonic() - began < 5
        other.execute("ROLLBACK")
    assert sqlite3.sqlite_version_info >= (3, 35)
