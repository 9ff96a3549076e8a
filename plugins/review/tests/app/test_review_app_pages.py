"""Voting, browsing, following and exporting over HTTP, with forms as a browser without scripts posts them."""

from __future__ import annotations

import html
import json
import re
import sqlite3
import time
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from pathlib import Path
from typing import Any

import pytest
from starlette.testclient import TestClient

from jurist.errors import UsageError
from jurist.records import Prompt
from jurist_review.app.desk import Desk, Sampling
from jurist_review.app.exporting import Exported
from jurist_review.app.queue import shown_order


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


def test_a_vote_is_told_by_the_names_on_the_page(client: TestClient, desk: Desk) -> None:
    for _ in range(6):
        item = fields(client.get("/review").text)["item"]
        press(client, "first")
        assert "You have voted on this one: A is better." in client.get(f"/review?item={item}").text
    assert {event.shown for event in desk.votes.history("compare")} == {"ab", "ba"}


def test_a_search_without_a_word_is_told_that_it_finds_everything(client: TestClient) -> None:
    told = "has no word in it"
    for typed in ("😀", '"', "!? *"):
        page = client.get("/browse", params={"q": typed, "kind": "comparison"}).text
        assert told in page
        assert ">100 rows<" in page
    for typed in ("", "  ", "tea 😀", "下"):
        assert told not in client.get("/browse", params={"q": typed}).text


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
    noted = press(client, "second", page=second_tab, note="my long reasoning")
    assert "my long reasoning</textarea>" in noted.text
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
    assert "Left out until your vote: 20 comparisons." in listed
    assert ">100 rows<" in listed
    press(client, "tie", page=client.get(f"/review?item={item}").text)
    shown = client.get(f"/item/{row.id}").text
    assert "decides because of the sun" in shown
    assert ">101 rows<" in client.get("/browse?kind=comparison").text


def test_pages_speak_of_one_comparison_in_the_singular(
    client: TestClient, make_client: Any, desk: Desk
) -> None:
    for reviewer in ("ann", "bob"):
        press(make_client(desk, reviewer), "tie")
    for _ in range(18):
        press(client, "tie")
    assert "Left out until your vote: 1 comparison." in client.get("/browse").text
    said = "19 comparisons with a label that most reviewers gave, 0 on which they disagree."
    assert said in client.get("/export").text
    assert "over 1 comparison with two labels or more" in client.get("/reviewers").text


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


def test_a_page_of_another_name_is_told_and_its_vote_counts_for_nobody(
    client: TestClient, desk: Desk
) -> None:
    for name in ("bob", "eve", "joe", "sue"):  # some of them would see the responses the other way round
        page = client.get("/review").text
        client.post("/reviewers", data={"name": name})
        answer = press(client, "first", page=page, note="my long reasoning")
        assert answer.status_code == 409
        assert f"and you vote as {name} now" in answer.text
        assert "my long reasoning</textarea>" in answer.text
    assert desk.votes.history("compare") == []
    assert press(client, "first", page=answer.text).status_code == 200


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


@pytest.mark.parametrize("error", [KeyError("summary.json"), TimeoutError(), BrokenProcessPool("killed")])
def test_an_export_that_breaks_is_said_and_can_be_done_again(
    client: TestClient, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, error: Exception
) -> None:
    press(client, "first")
    broken: Future[Exported] = Future()
    with monkeypatch.context() as patched:
        patched.setattr(ProcessPoolExecutor, "submit", lambda *_: broken)
        client.post("/export", data={"": ""})
    broken.set_exception(error)
    for _ in range(2):
        page = client.get("/export")
        assert page.status_code == 200
        assert "the labels could not be added to the run" in page.text
        assert type(error).__name__ in page.text
    assert [type(r.exc_info[1]) for r in caplog.records if r.exc_info] == [type(error)]
    page = client.post("/export", data={"": ""})
    while "The labels are being added" in page.text:
        time.sleep(0.2)
        page = client.get("/export")
    assert "1 label is in" in page.text


def test_where_a_vote_stands_there_is_next_in_place_of_skip(client: TestClient) -> None:
    item = fields(client.get("/review").text)["item"]
    press(client, "first")
    page = client.get(f"/review?item={item}").text
    assert 'value="skip"' not in page
    assert re.search(r'<a href="/review" data-key="s">.*Next</a>', page)
    assert 'value="skip"' in client.get("/review").text


def test_what_a_form_sends_back_is_what_it_was(make_run: Any, make_judged: Any, make_client: Any) -> None:
    tag = 'a\u202eb "x"'
    rows = [
        row.model_copy(
            update={
                "comparison": row.comparison.model_copy(
                    update={"prompt": Prompt.of(row.comparison.prompt.messages[0].content, tags=(tag,))}
                )
            }
        )
        for row in make_judged(40)
    ]
    desk = Desk(make_run(rows), Sampling(size=20))
    desk.catch_up()
    client = make_client(desk)
    page = client.get("/browse").text
    (value,) = re.findall(r'<select name="tag">.*?<option value="([^"]+)"', page)
    assert html.unescape(value) == tag
    assert "a⟨U+202E⟩b" in page
    note = "שלום\u200f ok"
    answer = press(client, "note", note=note)
    assert f">{note}</textarea>" in answer.text


def test_when_all_is_done_the_page_says_so(client: TestClient, desk: Desk) -> None:
    for _ in range(20):
        press(client, "tie")
    page = client.get("/review").text
    assert "All done: 20 comparisons" in page
    assert "agrees with people on 50.0%" in page
    assert "of all 108 labels" in page


def test_a_run_that_has_no_labels_yet_says_so(make_run: Any, make_judged: Any, make_client: Any) -> None:
    desk = Desk(make_run(make_judged(30), status="running"), Sampling(size=20))
    client = make_client(desk)
    assert "Nothing to review yet" in client.get("/review").text
    desk.catch_up()
    assert "No finished stage" in client.get("/review").text
    assert client.get("/item/1").headers["location"].startswith("/review?item=")
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
    recipe = (run / "recipe.yaml").read_text()
    (run / "recipe.yaml").write_text(recipe + "\n- {stage: train, name: ppo, trainer: x}\n")
    with pytest.raises(UsageError, match=r"'ppo' compares nothing; stages that do: compare"):
        Desk(run, Sampling(stage="ppo"))


def test_an_index_that_is_locked_waits(desk: Desk) -> None:
    with desk.index.connected() as other:
        other.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        with desk.index.connected() as reading:  # readers are not kept out
            assert reading.execute("SELECT COUNT(*) FROM items").fetchone()[0] == 123
        assert time.monotonic() - began < 5
        other.execute("ROLLBACK")
    assert sqlite3.sqlite_version_info >= (3, 35)
