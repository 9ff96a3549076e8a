"""The hooks, and runs that are unfinished, damaged or none at all."""

from __future__ import annotations

import json
import logging
import re
import shutil
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pluggy
import pytest

from jurist import hookspecs
from jurist.errors import UsageError
from jurist.recipe import Recipe
from jurist.records import Prompt, Response, Trajectory
from jurist.run_directory import Run, StageRecord
from jurist_review import plugin
from jurist_review.reading import read_run
from jurist_review.report import write_report


@pytest.fixture
def hooks() -> pluggy.HookRelay:
    manager = pluggy.PluginManager("jurist")
    manager.add_hookspecs(hookspecs)
    manager.register(plugin)
    manager.check_pending()
    return manager.hook


def run_in(folder: Path, *stages: StageRecord) -> Run:
    recipe = Recipe.of({"stages": [{"stage": "train", "trainer": "sft"}]})
    return Run(recipe, folder, stages=list(stages))


def test_the_report_hook_writes_where_it_is_told(hooks: pluggy.HookRelay, run_folder: Path) -> None:
    output = run_folder.parent / "page.html"
    assert hooks.jurist_report(runs=[run_folder], output=output) == output
    assert output.read_text().startswith("<!doctype html>")
    assert not list(run_folder.parent.glob("*.part"))


def test_several_runs_are_put_beside_each_other(hooks: pluggy.HookRelay, run_folder: Path) -> None:
    output = run_folder.parent / "both.html"
    assert hooks.jurist_report(runs=[run_folder, run_folder], output=output) == output
    assert "2 runs beside each other" in output.read_text()


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is not the folder of a run") as caught:
        write_report(tmp_path, tmp_path / "report.html")
    assert "it has no run.json and it has no recipe.yaml" in str(caught.value)
    assert not (tmp_path / "report.html").exists()


@pytest.mark.parametrize("content", ["{", "[]", "\x00"])
def test_a_damaged_run_file_is_named(run_folder: Path, content: str) -> None:
    (run_folder / "run.json").write_text(content)
    with pytest.raises(UsageError, match="is not the folder of a run"):
        read_run(run_folder)


def test_an_output_that_cannot_be_written_is_said(run_folder: Path) -> None:
    with pytest.raises(UsageError, match="cannot write"):
        write_report(run_folder, run_folder / "missing" / "report.html")


@pytest.mark.parametrize("status", ["done", "failed", "budget"])
def test_a_run_that_did_something_gets_its_report(
    hooks: pluggy.HookRelay, run_folder: Path, status: str
) -> None:
    record = StageRecord("revise", run_folder / "stages/01-revise", {}, skipped=False)
    hooks.jurist_run_finished(run=run_in(run_folder, record), status=status)
    assert (run_folder / "report.html").is_file()


def test_a_run_that_failed_at_once_gets_none(hooks: pluggy.HookRelay, run_folder: Path) -> None:
    hooks.jurist_run_finished(run=run_in(run_folder), status="failed")
    assert not (run_folder / "report.html").exists()


def test_a_report_that_cannot_be_written_is_said_and_does_not_fail_the_run(
    hooks: pluggy.HookRelay, run_folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (run_folder / "report.html").mkdir()
    with caplog.at_level(logging.ERROR):
        hooks.jurist_run_finished(run=run_in(run_folder), status="done")
    (record,) = caplog.records
    assert "The report of the run could not be written" in record.message
    assert "cannot write" in record.message
    assert f"jurist report {run_folder}" in record.message


def test_an_unfinished_run_shows_what_there_is(run_folder: Path) -> None:
    state = json.loads((run_folder / "run.json").read_text())
    state |= {"status": "interrupted", "stages": state["stages"][:1], "totals": {}}
    (run_folder / "run.json").write_text(json.dumps(state))
    (run_folder / "stages/02-sft/summary.json").unlink()  # stopped in the middle of training
    shutil.rmtree(run_folder / "stages/04-evaluate")  # never begun; 03-compare is left from before
    run = read_run(run_folder)
    assert [stage.finished for stage in run.stages] == [True, False, False, False]
    assert [curve.name for curve in run.stages[1].curves if curve.varies] == ["kl", "loss"]
    assert run.stages[2].jury is None
    assert run.problems == []
    html = write_report(run_folder, run_folder / "report.html").read_text()
    assert html.count("This stage is not finished") == 3
    assert re.search(r"1 of 4</dd>", html)
    assert "No call that costs anything was made." in html


def test_damaged_lines_and_missing_files_are_named_in_the_report(run_folder: Path) -> None:
    trajectories = run_folder / "stages/01-revise/trajectories.jsonl"
    lines = trajectories.read_text().splitlines()
    trajectories.write_text("\n".join([*lines[:5], lines[5][:100], '{"prompt": 1}', "7", *lines[6:]]))
    (run_folder / "stages/03-compare/judgments.jsonl").unlink()
    (run_folder / "stages/04-evaluate/summary.json").write_text("{")
    with (run_folder / "stages/04-evaluate/responses.jsonl").open("ab") as file:
        file.write(b"\xff\xfe\n")
    run = read_run(run_folder)
    assert run.stages[0].trajectories is not None
    assert run.stages[0].trajectories.count == 39
    assert len(run.problems) == 5
    assert "01-revise/trajectories.jsonl: left out 2 rows that could not be read" in run.problems[0]
    assert "the first is row 6: not JSON" in run.problems[0]
    assert "01-revise/trajectories.jsonl: left out 1 row that could not be read" in run.problems[1]
    assert "03-compare/judgments.jsonl could not be read" in run.problems[2]
    assert "04-evaluate/summary.json could not be read" in run.problems[3]
    assert "04-evaluate/responses.jsonl could not be read to its end" in run.problems[4]
    html = write_report(run_folder, run_folder / "report.html").read_text()
    assert "Not everything could be read" in html
    assert "01-revise/trajectories.jsonl: left out 2 rows" in html


def test_memory_does_not_grow_with_the_run(run_folder: Path) -> None:
    peaks = []
    for count in (1000, 4000):  # the first is all that a page has room for
        with (run_folder / "stages/01-revise/trajectories.jsonl").open("w") as file:
            for number in range(count):
                prompt, response = Prompt.of(f"{number} {'p' * 1000}"), Response(text="r" * 4000)
                file.write(Trajectory(prompt=prompt, response=response, ended="rounds").to_json() + "\n")
            size = file.tell()
        tracemalloc.start()
        run = read_run(run_folder, browsed=500_000)
        peaks.append(tracemalloc.get_traced_memory()[1])
        tracemalloc.stop()
        assert run.stages[0].trajectories is not None
        assert run.stages[0].trajectories.count == count
    assert size > 20_000_000
    assert peaks[1] < size / 10
    assert peaks[1] < 1.2 * peaks[0]


def test_the_plugin_module_is_light() -> None:
    code = (
        "import sys, jurist_review.plugin; "
        "print([m for m in ('jinja2', 'plotly', 'numpy', 'torch', 'trl') if m in sys.modules])"
    )
    found = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert found.stdout.strip() == "[]"
