"""The command: messages and exit codes, plugins, and runs with a plugin that was just started."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest

from jurist import errors
from jurist_registry import main as command_module

JURY = """
constitution: {name: short, principles: [{name: brief, description: Be brief.}]}
judges: [my-judge, {use: my-judge, name: firm, strength: 0.5}]
"""
RECIPE = """
name: tiny
prompts: prompts.jsonl
constitution: {name: short, principles: [{name: brief, description: Be brief.}]}
policy: my-chat-model
stages:
  - {stage: compare, samples: 2, judges: [my-judge]}
"""


@pytest.fixture
def folder(tmp_path: Path, started_plugins: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with pairs, a jury, prompts and a recipe."""
    monkeypatch.chdir(tmp_path)
    pairs = [("long answer", "short"), ("a", "abc"), ("same", "size")]
    rows = [{"prompt": f"Question {n}?", "response_a": a, "response_b": b} for n, (a, b) in enumerate(pairs)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    (tmp_path / "jury.yaml").write_text(JURY)
    prompts = [json.dumps({"prompt": f"Say number {n}."}) for n in range(20)]
    (tmp_path / "prompts.jsonl").write_text("\n".join(prompts) + "\n")
    (tmp_path / "recipe.yaml").write_text(RECIPE)
    return tmp_path


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


def test_help_lists_every_command(jurist: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert jurist("--help") == 0
    shown = capsys.readouterr().out
    for name in ("run", "plan", "judge", "report", "plugins", "contract", "new"):
        assert f"\n  {name} " in shown


@pytest.mark.parametrize("name", ["run", "plan", "judge", "report", "plugins", "contract", "new"])
def test_every_command_has_help(jurist: Any, name: str) -> None:
    assert jurist(name, "--help") == 0


@pytest.mark.parametrize("group", ["spot-check", "ledger", "plugins", "new"])
def test_no_line_of_a_group_is_cut(
    jurist: Any, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, group: str
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    assert jurist(group, "--help") == 0
    assert "...\n" not in capsys.readouterr().out.partition("Commands:")[2]


def test_a_pipe_that_is_closed_is_no_bug() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    command = [sys.executable, "-c", "from jurist_registry.main import main; main()", "plugins", "list"]
    try:
        done = subprocess.run(command, stdout=writing, stderr=subprocess.PIPE, text=True, check=False)
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (141, "")


def test_an_unknown_command_gets_the_near_miss(jurist: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert jurist("plugns") == 2
    assert "no command is called 'plugns'; did you mean 'plugins'?" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("error", "code", "shown"),
    [
        (errors.UsageError("wrong", cause="this", hint="that"), 2, "error: wrong\n  cause        this\n"),
        (
            errors.BudgetStop("spent"),
            3,
            "error: spent\n  What was done is kept; run the same command to continue.",
        ),
        (errors.GateStop("not good enough"), 4, "error: not good enough\n"),
        (errors.Interrupted("interrupted", hint="go on"), 130, "error: interrupted\n  try          go on\n"),
        (KeyboardInterrupt(), 130, "error: interrupted; what was done is kept.\n"),
    ],
)
def test_errors_raised_on_purpose_are_one_message_and_an_exit_code(
    jurist: Any,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
    code: int,
    shown: str,
) -> None:
    def fail(context: click.Context) -> None:
        raise error

    monkeypatch.setattr(command_module.cli, "invoke", fail)
    assert jurist("plugins") == code
    assert shown in capsys.readouterr().err


def test_any_other_error_keeps_its_traceback(jurist: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(context: click.Context) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(command_module.cli, "invoke", fail)
    with pytest.raises(ZeroDivisionError):
        command_module.main(["plugins"])


def test_plugins_lists_what_works_and_what_is_broken(
    jurist: Any, capsys: pytest.CaptureFixture[str], broken_plugins: Path
) -> None:
    assert jurist("plugins") == 0
    works, _, broken = capsys.readouterr().out.partition("broken (the others work):")
    assert "only_one" in works
    assert "majority" in works
    assert "  import_error (jurist-import-error 0.1.0)\n    cause  ModuleNotFoundError" in broken


def test_the_doctor_is_strict_when_asked(
    jurist: Any, capsys: pytest.CaptureFixture[str], broken_plugins: Path
) -> None:
    assert jurist("plugins", "doctor") == 0
    assert "broken: plugin misspelt_hook (jurist-misspelt-hook 0.1.0)" in capsys.readouterr().out
    assert jurist("plugins", "doctor", "--strict") == 2


def test_the_doctor_says_why(jurist: Any, capsys: pytest.CaptureFixture[str], broken_plugins: Path) -> None:
    assert jurist("plugins", "doctor", "--why", "import_error") == 0
    shown = capsys.readouterr().out
    assert shown.startswith("Traceback")
    assert "import not_there_at_all" in shown
    assert jurist("plugins", "doctor", "--why", "import_eror") == 2
    assert "did you mean 'import_error'?" in capsys.readouterr().err


def test_show_names_the_options(
    jurist: Any, capsys: pytest.CaptureFixture[str], started_plugins: Path
) -> None:
    assert jurist("plugins", "show", "my-judge") == 0
    shown = capsys.readouterr().out
    assert "judge my-judge: Prefers the shorter response." in shown
    assert "from     jurist-my-judge 0.1.0 (jurist_my_judge.judge:MyJudge)" in shown
    assert "can      symmetric" in shown
    assert "  strength  number; default 0.4\n" in shown
    assert jurist("plugins", "show", "my-juge") == 2
    assert "did you mean 'my-judge'?" in capsys.readouterr().err


def test_judge_labels_pairs_and_continues(
    jurist: Any, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    assert jurist("judge", "pairs.jsonl", "--judges", "jury.yaml", "--out", "labelled") == 0
    [path] = folder.glob("labelled/stages/*/preferences.jsonl")
    found = {row["prompt"][0]["content"]: row["chosen"][0]["content"] for row in read(path)}
    assert found == {"Question 0?": "short", "Question 1?": "a"}
    captured = capsys.readouterr()
    assert str(path.relative_to(folder)) in captured.out
    assert "3/3 (100%)" in captured.err
    assert jurist("judge", "pairs.jsonl", "--judges", "jury.yaml", "--out", "labelled") == 0
    assert "compare: done before, nothing changed" in capsys.readouterr().err


def test_faults_of_a_jury_stand_at_their_places_in_its_file(
    jurist: Any, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "stages.yaml").write_text("judges: [my-judge]\nagregate: []\nbudget: {usd: -1}\n")
    assert jurist("judge", "pairs.jsonl", "--judges", "stages.yaml") == 2
    shown = capsys.readouterr().err
    assert shown.startswith(
        "error: stages.yaml: 2 faults\n  - agregate: unknown option; did you mean 'aggregate'?"
    )
    assert "\n  - budget.usd: " in shown
    (folder / "jury.yaml").write_text("[my-judge, {use: my-judge, strenth: 1, name: stages.a.b}]")
    (folder / "labelled.jsonl").write_text(
        json.dumps({"item": 1, "label": "A", **read(folder / "pairs.jsonl")[0]})
    )
    for command in ("judge", "validate"):
        file = {"judge": "pairs.jsonl", "validate": "labelled.jsonl"}[command]
        assert jurist(command, file, "--judges", "jury.yaml") == 2
        shown = capsys.readouterr().err
        assert shown.startswith("error: jury.yaml cannot run: 1 fault\n  - judges.1: judge 'my-judge' of ")
        assert "\n      - judges.1.strenth: unknown option; did you mean 'strength'?" in shown


def test_a_recipe_is_no_file_of_judges(jurist: Any, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert jurist("judge", "pairs.jsonl", "--judges", "recipe.yaml") == 2
    shown = capsys.readouterr().err
    assert shown == (
        "error: recipe.yaml is a recipe, not a file of judges\n  try          jurist run recipe.yaml\n"
    )


def test_judge_lists_every_fault_of_the_jury(
    jurist: Any, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    (folder / "jury.yaml").write_text(JURY.replace("[my-judge,", "[my-juge,").replace("strength", "strenth"))
    assert jurist("judge", "pairs.jsonl", "--judges", "jury.yaml") == 2
    shown = capsys.readouterr().err
    assert "did you mean 'my-judge'?" in shown
    assert "did you mean 'strength'?" in shown


@pytest.mark.parametrize("text", ["just text", "judgs: [a]", "[unclosed"])
def test_a_file_that_names_no_judges_is_refused(jurist: Any, folder: Path, text: str) -> None:
    (folder / "jury.yaml").write_text(text)
    assert jurist("judge", "pairs.jsonl", "--judges", "jury.yaml") == 2


def test_plan_counts_calls_makes_none_and_writes_the_numbers(
    jurist: Any, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    assert jurist("plan", "recipe.yaml") == 0
    shown = capsys.readouterr().out
    assert "compare: 20 prompts, 20 comparisons" in shown
    assert "AI labels all, people check 10%" in shown
    (stage,) = json.loads((folder / "runs/tiny/plan.json").read_text())["stages"]
    rows = {(one["component"], one["role"]): one for one in stage["components"]}
    assert {who: one["calls"] for who, one in rows.items()} == {
        ("my-chat-model", "generator"): {"low": 40, "high": 40},
        ("my-judge", "judge"): {"low": 20, "high": 20},
    }
    assert rows["my-chat-model", "generator"]["completion_tokens"] == {"low": 40, "high": 40 * 512}
    assert not (folder / "runs/tiny/run.json").exists(), "it was planned, not begun"
    assert jurist("plan", "recipe.yaml", "--set", "seed=3", "--out", "elsewhere") == 0
    assert (folder / "elsewhere/plan.json").exists()


def test_a_plan_of_other_settings_leaves_the_run_its_own(
    jurist: Any, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    assert jurist("plan", "recipe.yaml") == jurist("run", "recipe.yaml") == 0
    kept = (folder / "runs/tiny/plan.json").read_text()
    capsys.readouterr()
    assert jurist("plan", "recipe.yaml", "--set", "seed=3") == 0
    assert "not kept: runs/tiny is a run of other settings" in capsys.readouterr().err
    assert (folder / "runs/tiny/plan.json").read_text() == kept
    assert jurist("plan", "recipe.yaml") == 0
    assert "kept: runs/tiny/plan.json" in capsys.readouterr().err


def test_run_stops_before_a_cap_and_continues_when_it_is_raised(
    jurist: Any, capsys: pytest.CaptureFixture[str], folder: Path
) -> None:
    assert jurist("run", "recipe.yaml", "--max-tokens", "60") == 3
    assert "budget is used up" in capsys.readouterr().err
    assert json.loads((folder / "runs/tiny/run.json").read_text())["status"] == "budget"
    assert jurist("run", "recipe.yaml") == 0
    captured = capsys.readouterr()
    assert "report: runs/tiny/report.html" in captured.out
    assert "replayed" in captured.err


def test_set_changes_a_setting(jurist: Any, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert jurist("plan", "recipe.yaml", "--set", "stages.compare.samples=3") == 0
    assert "compare: 20 prompts, 60 comparisons" in capsys.readouterr().out


def test_a_plugin_can_be_left_out(jurist: Any, capsys: pytest.CaptureFixture[str], folder: Path) -> None:
    assert jurist("run", "recipe.yaml", "--no-plugin", "my-judge") == 2
    assert "its plugin is disabled: drop --no-plugin" in capsys.readouterr().err


def test_report_without_a_plugin_says_what_to_install(
    jurist: Any, capsys: pytest.CaptureFixture[str], folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JURIST_PLUGINS", "")
    (folder / "done").mkdir()
    assert jurist("report", "done") == 2
    assert "done has no run.json" in capsys.readouterr().err
    (folder / "done" / "run.json").write_text("{}")
    assert jurist("report", "done") == 2
    assert "pip install jurist-review" in capsys.readouterr().err
