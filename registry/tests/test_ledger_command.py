"""``jurist ledger``: what it prints and writes, what it asks, and what it refuses."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jurist.chat import ChatReply
from jurist.engine.ledger import BatchEntry, Ledger
from jurist.records import Usage

STATS = """\
component  calls  failed tries  prompt tokens  completion tokens   USD  mean s  median s  95% s
generator      1             1              0                  0  0.00       -         -      -
judge          3            12          3,000                 60  1.50    2.00      2.00   3.00
in all: $1.50, 3,060 tokens, 4 calls

failed tries, the most frequent first:
  12 of judge: busy (HTTP status 503), try #
  1 of generator: lost

replies by the model that served:
  3 of judge: big-2 (fp1)
  1 of generator: model not said (fp2)

batches: 1 open with 1 request, 1 ended
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with the folder of a run, "run", of which every call is known."""
    monkeypatch.chdir(tmp_path)
    with Ledger.open(tmp_path / "run" / "ledger.sqlite") as ledger:
        for number in (1, 2, 3):
            usage = Usage(prompt_tokens=1000, completion_tokens=20, usd=0.5, seconds=number)
            reply = ChatReply(text=f"你好 {number}", served_model="big-2", fingerprint="fp1", usage=usage)
            ledger.put(f"j{number}", "judge", reply.model_dump_json(), usage)
        ledger.put("g", "generator", ChatReply(text="hi", fingerprint="fp2").model_dump_json(), Usage())
        for number in range(12):
            ledger.log_failure("j1", "judge", f"busy (HTTP status 503), try {number}")
        ledger.log_failure("g", "generator", "lost")
        for name in ("one", "two"):
            ledger.begin_batch(BatchEntry(name=name, owner="o", begun=1.0, keys={"a": "x"}, choices={}))
        ledger.end_batch("two", "judge", {})
    return tmp_path / "run"


def keys(folder: Path) -> list[str]:
    with Ledger(folder / "ledger.sqlite") as ledger:
        return [key for key in ("j1", "j2", "j3", "g") if ledger.get(key) is not None]


def answer(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(text))


def test_stats_are_a_table_and_lists(jurist: Any, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert jurist("ledger", "stats", "run") == 0
    size = (folder / "ledger.sqlite").stat().st_size
    assert capsys.readouterr().out == f"{STATS}size: {size / 1000:.1f} kB\n"


def test_stats_are_written_as_json(jurist: Any, folder: Path) -> None:
    assert jurist("ledger", "stats", "run", "--json", "stats.json") == 0
    found = json.loads(Path("stats.json").read_text(encoding="utf-8"))
    assert found["components"][1] == {
        "component": "judge",
        "calls": 3,
        "failed_tries": 12,
        "usage": {"prompt_tokens": 3000, "completion_tokens": 60, "usd": 1.5, "seconds": 6.0},
        "times": {"timed": 3, "mean": 2.0, "median": 2.0, "p95": 3.0},
    }
    assert found["components"][0]["times"] is None
    assert found["failures"][0] == {
        "text": "busy (HTTP status 503), try #",
        "tries": 12,
        "components": ["judge"],
    }
    assert found["models"][0] == {"component": "judge", "model": "big-2", "fingerprint": "fp1", "calls": 3}
    assert found["batches"] == {"open": 1, "ended": 1, "waiting": 1}
    assert found["bytes"] == (folder / "ledger.sqlite").stat().st_size


def test_of_many_and_long_failures_some_are_shown(
    jurist: Any, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Ledger(folder / "ledger.sqlite") as ledger:
        for letter in "abcdefghijk":
            ledger.log_failure("g", "generator", letter * 400)
    assert jurist("ledger", "stats", "run") == 0
    shown = capsys.readouterr().out
    assert f"  1 of generator: {'a' * 300}…\n" in shown
    assert f"  1 of generator: {'i' * 300}…\n  and 3 other causes\n" in shown


def test_an_empty_ledger_is_said_to_be_empty(
    jurist: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Ledger.open(tmp_path / "ledger.sqlite").close()
    assert jurist("ledger", "stats", tmp_path) == 0
    assert capsys.readouterr().out.startswith("no calls\n\nbatches: 0 open, 0 ended\nsize: ")


def test_export_prints_a_line_of_json_for_each_reply(
    jurist: Any, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert jurist("ledger", "export", "run") == 0
    lines = capsys.readouterr().out.splitlines()
    assert [json.loads(line)["key"] for line in lines] == ["j1", "j2", "j3", "g"]
    usage = {"prompt_tokens": 1000, "completion_tokens": 20, "usd": 0.5, "seconds": 2.0}
    reply = {
        "text": "你好 2",
        "note": "",
        "choice_logprobs": None,
        "finish_reason": "stop",
        "usage": usage,
        "served_model": "big-2",
        "fingerprint": "fp1",
    }
    assert json.loads(lines[1]) == {"key": "j2", "component": "judge", "reply": reply, "usage": usage}
    assert "你好 2" in lines[1]


def test_export_of_one_component_and_of_failures_goes_to_a_file(
    jurist: Any, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert jurist("ledger", "export", "run", "--component", "judge", "--out", "judge.jsonl") == 0
    assert capsys.readouterr().out == "judge.jsonl: 3 replies\n"
    rows = [json.loads(line) for line in Path("judge.jsonl").read_text(encoding="utf-8").splitlines()]
    assert [row["key"] for row in rows] == ["j1", "j2", "j3"]
    command = ("ledger", "export", "run", "--component", "generator", "--failures")
    assert jurist(*command, "--out", "failures.jsonl") == 0
    assert capsys.readouterr().out == "failures.jsonl: 1 failed try\n"
    (row,) = [json.loads(line) for line in Path("failures.jsonl").read_text(encoding="utf-8").splitlines()]
    assert (row["key"], row["component"], row["error"]) == ("g", "generator", "lost")


def test_a_file_is_exported_whole_or_not_at_all(
    jurist: Any, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Ledger(folder / "ledger.sqlite") as ledger:
        ledger.put("odd", "judge", "no JSON", Usage())
    Path("out.jsonl").write_text("from before\n")
    assert jurist("ledger", "export", "run", "--out", "out.jsonl") == 2
    assert "the reply odd is no JSON" in capsys.readouterr().err
    assert Path("out.jsonl").read_text() == "from before\n"


def test_prune_asks_and_forgets_at_a_yes(
    jurist: Any, folder: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    answer("y\n", monkeypatch)
    assert jurist("ledger", "prune", "run", "--component", "judge") == 0
    shown = capsys.readouterr()
    what = "3 replies of judge ($1.50, 3,060 tokens, 3 calls)"
    again = "those that the run needs are asked and paid for again"
    assert shown.err == f"{what}; {again}\nForget them? [y/N]: "
    assert shown.out == f"forgotten: {what}; {again}\n"
    assert keys(folder) == ["g"]


@pytest.mark.parametrize(("text", "code"), [("n\n", 0), ("\n", 0), ("", 130)])
def test_prune_forgets_nothing_without_a_yes(
    jurist: Any,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    text: str,
    code: int,
) -> None:
    answer(text, monkeypatch)
    assert jurist("ledger", "prune", "run", "--component", "judge") == code
    assert capsys.readouterr().out == ("nothing was forgotten\n" if code == 0 else "")
    assert keys(folder) == ["j1", "j2", "j3", "g"]


def test_what_failed_tries_cost_is_shown_and_told_before_they_are_forgotten(
    jurist: Any, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with Ledger(folder / "ledger.sqlite") as ledger:
        ledger.log_failure("g", "generator", "cut", Usage(usd=0.25, prompt_tokens=3000))
    assert jurist("ledger", "stats", "run") == 0
    assert "  billed: $0.25, 3,000 tokens, which counts towards the budget too\n" in capsys.readouterr().out
    assert jurist("ledger", "prune", "run", "--failures", "--yes") == 0
    billed = "(billed $0.25, 3,000 tokens, which no longer counts towards the budget)"
    assert capsys.readouterr().out == f"forgotten: 14 failed tries {billed}\n"


def test_prune_with_yes_does_not_ask(jurist: Any, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert jurist("ledger", "prune", "run", "--failures", "--component", "judge", "--yes") == 0
    assert jurist("ledger", "prune", "run", "--failures", "--yes") == 0
    assert jurist("ledger", "prune", "run", "--failures", "--yes") == 0
    shown = capsys.readouterr()
    assert shown.out == (
        "forgotten: 12 failed tries of judge\nforgotten: 1 failed try\nforgotten: 0 failed tries\n"
    )
    assert shown.err == ""
    assert keys(folder) == ["j1", "j2", "j3", "g"]


@pytest.mark.parametrize(
    ("arguments", "shown"),
    [
        (
            ["stats", "runn"],
            "error: runn is not the folder of a run: there is no such folder\n"
            "  try          did you mean 'run'?\n",
        ),
        (["stats", "mine"], "is no such folder\n  try          name one of these: run\n"),
        (["stats", "run/ledger.sqlite"], "is not the folder of a run: it is a file\n"),
        (["export", "."], "error: . is not the folder of a run: it has no ledger.sqlite."),
        (["prune", "run"], "error: Nothing says what to prune.\n  try          --component NAME"),
        (["prune", "run", "--yes"], "error: Nothing says what to prune."),
        (["prune", "run", "--component", "juge", "--yes"], "called 'juge'; did you mean 'judge'? (known: ge"),
        (["export", "run", "--component", "juge"], "called 'juge'; did you mean 'judge'? (known: generator,"),
        (["export", "run", "--out", "no/such/folder.jsonl"], "error: cannot write no/such/folder.jsonl"),
    ],
)
def test_mistakes_are_one_message(
    jurist: Any,
    folder: Path,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    shown: str,
) -> None:
    assert jurist("ledger", *arguments) == 2
    output = capsys.readouterr()
    assert shown in output.err
    assert output.out == ""
    assert keys(folder) == ["j1", "j2", "j3", "g"]


def test_while_a_run_has_it_open_it_can_be_read_but_not_pruned(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def command(*arguments: str) -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-c", "from jurist_registry.main import main; main()"]
        return subprocess.run(
            [*program, "ledger", *arguments], capture_output=True, text=True, timeout=60, check=False
        )

    with Ledger(folder / "ledger.sqlite") as ledger:
        ledger.put("j4", "judge", "{}", Usage())
        stats = command("stats", "run")
        exported = command("export", "run", "--component", "judge")
        refused = command("prune", "run", "--component", "judge", "--yes")
        assert ledger.get("j4") == "{}"
    assert "\njudge          4            12 " in stats.stdout
    assert [json.loads(line)["key"] for line in exported.stdout.splitlines()] == ["j1", "j2", "j3", "j4"]
    assert refused.returncode == 2
    assert refused.stderr.startswith("error: run/ledger.sqlite is in use by another process.\n")
    assert refused.stdout == ""


def test_help_imports_nothing_heavy(loaded: Any) -> None:
    program = (
        "from jurist_registry.main import main\ntry: main(['ledger', '--help'])\nexcept SystemExit: pass"
    )
    assert not loaded(program) & {
        "rich",
        "torch",
        "litellm",
        "jurist.engine.engine",
        "jurist_registry.registry",
    }
