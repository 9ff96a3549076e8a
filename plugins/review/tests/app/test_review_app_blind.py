"""Nobody sees what the jury said of a comparison before their vote on it, whatever the run does meanwhile."""

from __future__ import annotations

import json
import shutil
import uuid
from pathlib import Path
from typing import Any

import pytest
import yaml
from starlette.testclient import TestClient

from jurist.records import Comparison, Response
from jurist.stage_records import Judged
from jurist_review.app import index as index_module
from jurist_review.app.desk import Desk, Sampling
from jurist_review.app.exporting import export_labels
from jurist_review.app.queue import shown_order
from jurist_review.app.votes import Action

VERDICTS = "What the judges said"


def drawn_of(desk: Desk) -> list[str]:
    return [each.item for each in desk.votes.sample("compare")]


def seen(client: TestClient, number: int = 400) -> set[str]:
    """The comparisons whose judgments a page shows."""
    pages = [client.get(f"/item/{n}").text for n in range(1, number)]
    headings = [page.split('<p class="aside">')[1] for page in pages if VERDICTS in page]
    return {heading.split(" · ")[1].split("<")[0] for heading in headings}


def posted(item: str, **changes: str) -> dict[str, str]:
    request = str(uuid.uuid4())
    return {
        "item": item,
        "reviewer": "ann",
        "seen": "0",
        "request": request,
        "do": "first",
        "note": "",
        **changes,
    }


def vote(desk: Desk, reviewer: str, item: str, stage: str = "compare", note: str | None = None) -> None:
    order = shown_order(item, reviewer)
    desk.votes.add(Action(str(uuid.uuid4()), "", reviewer, stage, item, "vote", order, "A", note), 0)


def with_other_texts(rows: list[Judged]) -> list[Judged]:
    """The same judgments of other comparisons."""
    return [
        row.model_copy(
            update={
                "comparison": Comparison(
                    prompt=row.comparison.prompt,
                    response_a=Response(text=f"Now {row.comparison.response_a.text}"),
                    response_b=row.comparison.response_b,
                )
            }
        )
        for row in rows
    ]


def judged_again(folder: Path) -> None:
    """Let a second stage have judged the same comparisons."""
    recipe = yaml.safe_load((folder / "recipe.yaml").read_text())
    recipe["stages"].append({**recipe["stages"][1], "name": "again"})
    (folder / "recipe.yaml").write_text(yaml.safe_dump(recipe, allow_unicode=True))
    state = json.loads((folder / "run.json").read_text())
    state["stages"].append({"name": "again", "folder": "03-again"})
    (folder / "run.json").write_text(json.dumps(state))
    shutil.copytree(folder / "stages/02-compare", folder / "stages/03-again")


def test_while_a_run_writes_comparisons_none_is_shown(
    make_run: Any, make_judged: Any, make_client: Any
) -> None:
    desk = Desk(make_run(make_judged(60), status="running"), Sampling(size=20))
    desk.catch_up()
    client = make_client(desk)
    assert seen(client, 61) == set()
    for path in ("/live", "/browse?kind=comparison", "/browse?q=sun"):
        assert "/item/" not in client.get(path).text
    make_run(make_judged(120))
    desk.catch_up()
    assert len(drawn_of(desk)) == 20
    assert not seen(client, 121) & set(drawn_of(desk))


def test_a_run_in_which_nothing_can_be_drawn_hides_nothing(
    make_run: Any, make_judged: Any, make_client: Any
) -> None:
    folder = make_run([row for row in make_judged(60) if row.decision.probability is None])
    desk = Desk(folder, Sampling())
    desk.catch_up()
    assert ">6 rows<" in make_client(desk).get("/browse?kind=comparison").text


def test_while_the_index_is_made_anew_nothing_is_shown_and_votes_are_kept(
    run: Path, desk: Desk, client: TestClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = drawn_of(desk)[0]
    read_on, during = index_module._read_on, []

    def watched(connection: Any, source: Any) -> bool:
        read = read_on(connection, source)
        if read and source.kind == "comparison":
            during.append((seen(client, 130), client.get("/browse?kind=comparison").text))
            during.append(client.get("/review").text)
            answer = client.post("/review", data=posted(item, note="thought long"), follow_redirects=True)
            during.append(answer.text)
        return read

    path = run / "stages/01-revise/trajectories.jsonl"
    path.write_text("".join(reversed(path.read_text().splitlines(keepends=True))))
    monkeypatch.setattr(index_module, "_read_on", watched)
    desk.catch_up()
    (shown, listed), waits, answered = during
    assert shown == set()
    assert ">0 rows<" in listed
    assert "being read" in waits
    assert "Saved: A is better." in answered
    assert [(e.kind, e.note) for e in desk.votes.history("compare", item)] == [("vote", "thought long")]
    assert "1 of 20 done" in client.get("/review").text
    assert seen(client, 130) & set(drawn_of(desk)) == {item}


def test_what_the_index_has_lost_for_the_moment_is_hidden_too(desk: Desk) -> None:
    queue = desk.queue()
    assert queue is not None
    with desk.index.connected() as connection:
        index_module._make_anew(connection)
    assert queue.drawn() == []
    assert queue.hidden("ann").items == set(drawn_of(desk))
    assert desk.hidden("ann").items is None


def test_a_run_made_anew_is_sampled_anew_and_keeps_the_votes_on_what_it_still_has(
    run: Path, desk: Desk, client: TestClient, make_run: Any, make_judged: Any
) -> None:
    rows = make_judged(120)
    before = drawn_of(desk)
    vote(desk, "ann", before[0])
    kept = [row for row in rows if row.comparison.id in before[:6]]
    rest = [row for row in rows if row.comparison.id not in before[:6]]
    make_run(kept + with_other_texts(rest))
    desk.catch_up()
    assert desk.trouble == ""
    queue = desk.queue()
    assert queue is not None
    now = [each.item for each in queue.drawn()]
    assert len(now) == 20
    assert set(now) & set(before) == set(before[:6])
    assert "1 of 20 done" in client.get("/review").text
    assert seen(client, 130) & set(now) == {before[0]}
    restarted = Desk(run, Sampling())
    restarted.catch_up()
    again = restarted.queue()
    assert again is not None
    assert {each.item for each in again.drawn()} >= set(now)


def test_another_stage_does_not_tell_what_was_said_of_the_same_comparison(
    run: Path, make_client: Any
) -> None:
    judged_again(run)
    desk = Desk(run, Sampling(stage="compare", size=20))
    desk.catch_up()
    client = make_client(desk)
    assert not seen(client, 250) & set(drawn_of(desk))
    assert ">100 rows<" in client.get("/browse?stage=again").text


def test_a_second_stage_that_comes_to_label_changes_nothing_for_a_running_server(
    run: Path, desk: Desk, client: TestClient
) -> None:
    judged_again(run)
    desk.catch_up()
    assert (desk.trouble, desk.stage()) == ("", "compare")
    assert "0 of 20 done" in client.get("/review").text


def test_downloads_leave_out_what_waits_for_ones_vote(run: Path, desk: Desk, make_client: Any) -> None:
    first, second, *_ = drawn_of(desk)
    vote(desk, "ann", first, note="hers")
    vote(desk, "ann", second)
    vote(desk, "bob", second)
    downloads = {}
    for name in ("ann", "bob", ""):
        for file in ("labels", "history"):
            lines = make_client(desk, name).get(f"/export/{file}.jsonl").text.splitlines()
            downloads[name, file] = [json.loads(line)["item"] for line in lines]
    assert downloads["ann", "labels"] == [first, second]
    assert downloads["ann", "history"] == [first, second, second]
    assert downloads["bob", "labels"] == [second]
    assert downloads["bob", "history"] == [second, second]
    assert downloads["", "labels"] == downloads["", "history"] == []


def test_a_sample_that_is_larger_than_what_is_left_still_lets_people_vote(
    make_run: Any, make_judged: Any, make_client: Any
) -> None:
    folder = make_run(make_judged(12))
    desk = Desk(folder, Sampling(size=100))
    desk.catch_up()
    queue = desk.queue()
    assert queue is not None
    for item in queue.waiting("ann"):
        vote(desk, "ann", item)
    done = export_labels(queue, desk.votes, folder, folder / "labels.jsonl")
    again = Desk(folder, Sampling(size=100))
    again.catch_up()
    assert again.trouble == ""
    assert f"0 of {done.labels} done" in make_client(again, "bob").get("/review").text
