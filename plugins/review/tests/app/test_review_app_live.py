"""The live view: what a run's files and its progress say of it, and what of that waits for votes."""

from __future__ import annotations

import json
from typing import Any

import pytest

from jurist.engine.ledger import Ledger
from jurist.records import Usage
from jurist.train_jobs import TrainProgress
from jurist_review.app.desk import Desk, Sampling
from jurist_review.app.live import read_state
from jurist_review.progress_file import ProgressFile


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
        ledger.log_failure("k3", "y", "too late", Usage(usd=0.5))
        state = read_state(folder)
    assert state.status == "running"
    assert [(stage.name, stage.state) for stage in state.stages] == [("revise", "done"), ("compare", "work")]
    assert state.progress is not None
    assert (state.progress.done, state.progress.total) == (5, 120)
    assert state.progress.outcomes == {"preferred": 3, "tie": 2}
    assert state.left == pytest.approx(115)
    assert (state.usd, state.cap) == (1.75, 5)
    desk = Desk(folder, Sampling())
    desk.catch_up()
    client = make_client(desk)
    page = client.get("/live")
    for text in (
        "5 of 120",
        "as of 1970-01-01 00:01:45 UTC",
        "$1.75 of $5.00",
        "of it for failed tries</dt><dd>$0.5000",
        "preferred: 3",
        "Comparisons are shown once the sample to vote on is drawn.",
    ):
        assert text in page.text
    assert "/item/" not in page.text
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
    metrics.write_text('{"step": 1, "loss": 0.5, "reward": 3}\n{"step": 2, "loss": 0.25}\n{"step": 3, "lo')
    now = iter([0.0, 5.0, 9.0])
    progress = ProgressFile(clock=lambda: next(now))
    progress.run(folder)
    progress.stage("compare", None)
    progress.training(TrainProgress(step=6, total=8, metrics={"loss": 0.25}, warning="rewards rise"))
    state = read_state(folder)
    assert state.metrics == {"step": 2, "loss": 0.25, "reward": 3}
    assert state.progress is not None
    assert (state.progress.warning, state.left) == ("rewards rise", pytest.approx(5 / 3))


def test_the_live_view_of_a_training_shows_the_newest_responses_as_text(
    make_run: Any, make_judged: Any, make_client: Any
) -> None:
    folder = make_run(make_judged(5), status="running")
    recipe = (folder / "recipe.yaml").read_text().replace("stage: compare", "stage: train")
    (folder / "recipe.yaml").write_text(recipe)
    rows = [
        {"step": step, "prompt": [{"role": "user", "content": f"Question {step}?"}], "response": said}
        | {"reward": step / 4}
        for step, said in enumerate(["one", " ", "<b>two</b>", "three", "four", "five"], 1)
    ]
    lines = [json.dumps(row) for row in rows]
    samples = folder / "stages/02-compare/samples.jsonl"
    samples.write_text("\n".join(lines) + '\n{"step": 7, "prom')
    assert [row["response"] for row in read_state(folder).samples] == [
        "five",
        "four",
        "three",
        "<b>two</b>",
        " ",
    ]
    page = make_client(Desk(folder, Sampling())).get("/live").text
    assert "&lt;b&gt;two&lt;/b&gt;" in page
    assert "an empty text" in page
    assert "Question 6?" in page
    assert "Question 1?" not in page


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
