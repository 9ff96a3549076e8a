"""What a user can get wrong, through the real command: one message with every fault, code 2, no traceback."""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jurist.engine.ledger import Ledger

Rows = Callable[[Path], list[Any]]
Start = Callable[..., "subprocess.Popen[bytes]"]
Environment = dict[str, str]

GOOD = {
    "prompts": "prompts.jsonl",
    "stages": [{"stage": "compare", "generator": "counting", "judges": ["counting"]}],
}


class Refusal:
    """How the command refused: what it said, all in one message."""

    def __init__(self, done: subprocess.CompletedProcess[str]) -> None:
        self.message = done.stderr
        assert done.returncode == 2, done.stdout + done.stderr
        assert "Traceback" not in done.stderr
        assert done.stderr.count("error: ") == 1

    def names(self, *parts: str) -> None:
        missing = [part for part in parts if part not in self.message]
        assert not missing, f"{missing} not in:\n{self.message}"


@pytest.fixture
def jurist(tmp_path: Path, counting: Environment) -> Callable[..., subprocess.CompletedProcess[str]]:
    """Runs the command in a folder of its own; components count their calls in ``calls.log``."""
    lines = [json.dumps({"prompt": f"question {number}"}) for number in range(12)]
    (tmp_path / "prompts.jsonl").write_text("\n".join(lines), encoding="utf-8")

    def command(*arguments: str, **options: Any) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-c", "from jurist_registry.main import main; main()", *arguments],
            cwd=tmp_path,
            env={**counting, "COUNTING_LOG": str(tmp_path / "calls.log")},
            capture_output=True,
            text=True,
            timeout=100,
            check=False,
            **options,
        )

    return command


Jurist = Callable[..., "subprocess.CompletedProcess[str]"]


def write_recipe(folder: Path, **changes: Any) -> str:
    (folder / "recipe.yaml").write_text(json.dumps({**GOOD, **changes}), encoding="utf-8")
    return "recipe.yaml"


def nothing_was_called(folder: Path) -> bool:
    return not (folder / "calls.log").exists()


def test_a_recipe_that_is_not_there(jurist: Jurist) -> None:
    Refusal(jurist("run", "none.yaml")).names("cannot read the recipe none.yaml", "No such file")


def test_a_recipe_that_is_not_yaml(jurist: Jurist, tmp_path: Path) -> None:
    (tmp_path / "recipe.yaml").write_text("stages: [\nprompts: }", encoding="utf-8")
    Refusal(jurist("run", "recipe.yaml")).names("recipe.yaml is not valid YAML", "line 2")


@pytest.mark.parametrize("text", ["", "- a\n- b\n", "just words"])
def test_a_recipe_that_is_no_mapping(jurist: Jurist, tmp_path: Path, text: str) -> None:
    (tmp_path / "recipe.yaml").write_text(text, encoding="utf-8")
    Refusal(jurist("run", "recipe.yaml")).names("recipe.yaml is not a recipe")


def test_every_wrong_setting_at_once(jurist: Jurist, tmp_path: Path) -> None:
    stages = [
        {"stage": "compare", "judges": [], "samples": 1, "pairng": "all"},
        {"stage": "train"},
        {"stage": "celebrate"},
    ]
    refusal = Refusal(jurist("run", write_recipe(tmp_path, stages=stages, sed=1, budget={"usd": -1})))
    refusal.names("faults", "judges", "samples")
    refusal.names("pairng", "did you mean 'pairing'", "trainer", "celebrate", "sed", "seed", "budget.usd")


def test_every_unknown_component_and_option_at_once(jurist: Jurist, tmp_path: Path) -> None:
    compare = {
        "stage": "compare",
        "generator": "countin",
        "judges": ["counting", {"use": "demo-strict", "noize": 1}, {"use": "demo-brief", "noise": -1}],
        "aggregate": ["majorty"],
    }
    recipe = write_recipe(tmp_path, stages=[compare], constitution="nowhere.yaml")
    refusal = Refusal(jurist("run", recipe))
    refusal.names(
        "no generator is called 'countin'", "did you mean 'counting'", "noize", "noise", "'majority'"
    )
    refusal.names("judges.1", "judges.2", "nowhere.yaml")
    assert nothing_was_called(tmp_path)
    assert not (tmp_path / "runs").exists()


def test_every_malformed_row_with_its_line(jurist: Jurist, tmp_path: Path) -> None:
    rows = [
        '{"prompt": "good"}',
        '{"prompt": "broken',
        '{"prompt": "  "}',
        "17",
        '{"prompt": [{"role": "wizard", "content": "x"}]}',
        "",
        '{"prompt": "tagged", "tags": "safety"}',
        '{"text": "no prompt"}',
        '{"prompt": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}',
    ]
    (tmp_path / "prompts.jsonl").write_text("\n".join(rows), encoding="utf-8")
    refusal = Refusal(jurist("run", write_recipe(tmp_path)))
    refusal.names(*(f"prompts.jsonl:{line}:" for line in (2, 3, 4, 7, 8, 9)), "prompts.jsonl:5")
    assert "prompts.jsonl:1:" not in refusal.message
    assert nothing_was_called(tmp_path)


@pytest.mark.parametrize("content", [b"", b"\n\n", b"\xff\xfe\x00"])
def test_a_file_without_prompts(jurist: Jurist, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "prompts.jsonl").write_bytes(content)
    Refusal(jurist("run", write_recipe(tmp_path))).names("prompts.jsonl")
    assert nothing_was_called(tmp_path)


def test_prompts_that_are_not_there_or_left_by_the_filters(jurist: Jurist, tmp_path: Path) -> None:
    Refusal(jurist("run", write_recipe(tmp_path, prompts="none.jsonl"))).names("none.jsonl", "No such file")
    stage = {**GOOD["stages"][0], "tags": ["rare"]}  # type: ignore[dict-item]
    Refusal(jurist("run", write_recipe(tmp_path, stages=[stage]))).names("no prompt is left", "tags")


def test_prompts_that_the_model_cannot_take(jurist: Jurist, tmp_path: Path) -> None:
    rows = [json.dumps({"prompt": text}) for text in ("who is Ben?", "word " * 3000, "name " * 4000)]
    (tmp_path / "prompts.jsonl").write_text("\n".join(rows), encoding="utf-8")
    stage = {"stage": "compare", "judges": ["counting"], "sampling": {"max_tokens": 16}}
    policy = {"use": "hf", "model": "package:jurist_demo/model"}
    recipe = write_recipe(tmp_path, policy=policy, stages=[stage])
    for command in ("plan", "run"):
        refusal = Refusal(jurist(command, recipe))
        refusal.names("2 faults", "word word", "name name", "max_tokens")
        assert "who is Ben" not in refusal.message
    assert nothing_was_called(tmp_path)


def test_a_constitution_with_every_fault(jurist: Jurist, tmp_path: Path) -> None:
    (tmp_path / "rules.yaml").write_text(
        json.dumps(
            {
                "name": "rules",
                "principles": [
                    {"name": "kind", "description": "be kind"},
                    {"name": "kind", "description": "be kind again"},
                    {"name": "blank", "description": " "},
                    {"name": "odd", "description": "x", "checks": [{"forbid_pattern": "("}], "hrd": True},
                ],
            }
        ),
        encoding="utf-8",
    )
    refusal = Refusal(jurist("run", write_recipe(tmp_path, constitution="rules.yaml")))
    refusal.names(
        "rules.yaml", "4 faults", "'kind' appears 2 times", "description", "regular expression", "hrd"
    )


def test_a_constitution_with_one_name_twice(jurist: Jurist, tmp_path: Path) -> None:
    principles = [{"name": "kind", "description": text} for text in ("be kind", "be kinder")]
    refusal = Refusal(
        jurist("run", write_recipe(tmp_path, constitution={"name": "twice", "principles": principles}))
    )
    refusal.names("constitution", "'kind' appears 2 times")
    assert nothing_was_called(tmp_path)


@pytest.mark.parametrize(
    "override", ["stages.nowhere.samples=3", "seed", "seed=[", "stages.compare.samples=x"]
)
def test_an_override_that_fits_nothing(jurist: Jurist, tmp_path: Path, override: str) -> None:
    refusal = Refusal(jurist("run", write_recipe(tmp_path), "--set", override))
    refusal.names("samples" if "samples=x" in override else f"--set {override}")


def test_a_variable_that_is_not_set(jurist: Jurist, tmp_path: Path) -> None:
    policy = {"use": "hf", "model": "${NO_SUCH_MODEL}"}
    Refusal(jurist("run", write_recipe(tmp_path, policy=policy))).names("NO_SUCH_MODEL", "not set", "export")


def test_a_checkpoint_that_is_not_there(jurist: Jurist, tmp_path: Path) -> None:
    policy = {"use": "hf", "model": "./no-such-model"}
    stage = {"stage": "compare", "judges": ["counting"]}
    refusal = Refusal(jurist("run", write_recipe(tmp_path, policy=policy, stages=[stage])))
    refusal.names("no-such-model", "jurist-hf")


def test_a_file_in_the_way_of_the_output_folder(jurist: Jurist, tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("mine", encoding="utf-8")
    Refusal(jurist("run", write_recipe(tmp_path), "--out", "taken/run")).names("taken/run", "--out")
    done = jurist("run", "recipe.yaml", "--out", "taken")
    assert done.returncode == 2
    assert "taken" in done.stderr
    assert "Traceback" not in done.stderr
    assert (tmp_path / "taken").read_text(encoding="utf-8") == "mine"
    assert nothing_was_called(tmp_path)


def test_a_ledger_that_is_none_is_left_alone(jurist: Jurist, tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / "ledger.sqlite").write_bytes(b"precious, but no database" * 100)
    Refusal(jurist("run", write_recipe(tmp_path), "--out", "run")).names("ledger.sqlite")
    assert (tmp_path / "run" / "ledger.sqlite").read_bytes() == b"precious, but no database" * 100
    assert nothing_was_called(tmp_path)


def test_a_folder_that_another_run_is_using(
    jurist: Jurist, start: Start, counting: Environment, tmp_path: Path
) -> None:
    log = tmp_path / "calls.log"
    slow = {**counting, "COUNTING_LOG": str(log), "COUNTING_DELAY": "0.5"}
    first = start("run", write_recipe(tmp_path), "--out", "run", environment=slow, cwd=tmp_path)
    deadline = time.monotonic() + 30
    while nothing_was_called(tmp_path):
        assert first.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.01)
    Refusal(jurist("run", "recipe.yaml", "--out", "run")).names("ledger.sqlite is in use", "--out")
    assert first.wait(timeout=60) == 0
    calls = log.read_text().splitlines()
    assert len(calls) == len(set(calls)) == 12 * 4


@pytest.mark.parametrize("kilobytes", [40, 60, 90, 130])
def test_a_full_disk_loses_nothing_that_was_answered(
    jurist: Jurist, tmp_path: Path, rows: Rows, kilobytes: int
) -> None:
    """No file may grow past a limit, wherever that strikes: the ledger, a dataset, a summary."""
    lines = [json.dumps({"prompt": f"question {number}"}) for number in range(150)]
    (tmp_path / "prompts.jsonl").write_text("\n".join(lines), encoding="utf-8")

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (kilobytes * 1024, kilobytes * 1024))

    write_recipe(tmp_path)
    refusal = Refusal(jurist("run", "recipe.yaml", "--out", "run", preexec_fn=limited))
    refusal.names("run", "free")
    before = (tmp_path / "calls.log").read_text().splitlines() if not nothing_was_called(tmp_path) else []
    with Ledger(tmp_path / "run" / "ledger.sqlite") as ledger:
        kept = sum(tally.calls for tally in ledger.tallies().values())

    again = jurist("run", "recipe.yaml", "--out", "run")
    assert again.returncode == 0, again.stderr
    calls = (tmp_path / "calls.log").read_text().splitlines()
    assert len(calls) - len(set(calls)) == len(before) - kept
    assert len(rows(tmp_path / "run" / "stages" / "01-compare" / "judgments.jsonl")) == 150


def test_a_disk_that_is_really_full(jurist: Jurist, tmp_path: Path, rows: Rows) -> None:
    """The same with a file system of 256 kB, where that can be mounted."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(mount, check=False, capture_output=True).returncode:
        pytest.skip("a small file system cannot be mounted here")
    try:
        lines = [json.dumps({"prompt": f"question {number}"}) for number in range(150)]
        (tmp_path / "prompts.jsonl").write_text("\n".join(lines), encoding="utf-8")
        write_recipe(tmp_path)
        Refusal(jurist("run", "recipe.yaml", "--out", "disk/run")).names("disk/run", "free")
        enlarge = ["mount", "-o", "remount,size=16m", str(disk)]
        subprocess.run(enlarge, check=True)
        before = (tmp_path / "calls.log").read_text().splitlines()
        with Ledger(disk / "run" / "ledger.sqlite") as ledger:
            kept = sum(tally.calls for tally in ledger.tallies().values())
        assert jurist("run", "recipe.yaml", "--out", "disk/run").returncode == 0
        calls = (tmp_path / "calls.log").read_text().splitlines()
        assert len(calls) - len(set(calls)) == len(before) - kept
        assert len(rows(disk / "run" / "stages" / "01-compare" / "judgments.jsonl")) == 150
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def test_a_plan_ends_as_the_run_does_that_is_refused(jurist: Jurist, tmp_path: Path) -> None:
    generator = {"use": "openai", "model": "of-nobody", "base_url": "http://127.0.0.1:9/v1"}
    recipe = write_recipe(tmp_path, budget={"usd": 1}, stages=[{**GOOD["stages"][0], "generator": generator}])
    planned, run = jurist("plan", recipe, "--out", "out"), jurist("run", recipe, "--out", "out")
    assert "$1: the run will not begin" in planned.stdout
    assert (tmp_path / "out/plan.json").exists()
    Refusal(run).names("a cap of $1 cannot be held", "stages.compare.generator: the price of 'openai'")
    assert planned.stderr.endswith(run.stderr)
    Refusal(planned)
