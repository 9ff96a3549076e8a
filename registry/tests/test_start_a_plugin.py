"""A started package passes its own tests with no edit, and ``jurist contract`` says the same of its class."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from pathlib import Path
from typing import Any

import pytest

from jurist.contracts import CONTRACTS
from jurist.errors import UsageError
from jurist_registry.scaffold import write_plugin

REPOSITORY = Path(__file__).parents[2]


def own_tests(started: Path, kind: str, *options: str) -> str:
    """What pytest says in the package of a kind, all of it green."""
    package = started / "packages" / f"jurist-my-{kind.replace('_', '-')}"
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options],
        cwd=package,
        env={**os.environ, "PYTHONPATH": str(started / "target")},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize("kind", CONTRACTS)
def test_its_own_tests_are_green(started: Path, kind: str) -> None:
    said = own_tests(started, kind, "-p", "no:asyncio")
    # The contract's clauses are among them; a package with only its entry point tested would be green too.
    assert int(said.rpartition(" passed")[0].split()[-1]) > 10
    assert "Warning" not in said


def test_its_own_tests_warn_of_nothing_beside_pytest_asyncio(started: Path) -> None:
    assert "Warning" not in own_tests(started, "judge")


def test_what_it_says_of_core_fits_the_installed_one(tmp_path: Path) -> None:
    folder = write_plugin("lab", parent=tmp_path)
    assert 'dependencies = ["jurist-core>=0.1,<0.2"]' in (folder / "pyproject.toml").read_text()


@pytest.mark.parametrize("name", ["My Lab", "lab!", "../lab", "2lab", ""])
def test_a_name_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="is not a name for a plugin"):
        write_plugin(name, parent=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_written_over(tmp_path: Path) -> None:
    folder = write_plugin("jurist-lab", parent=tmp_path)
    (folder / "README.md").write_text("mine")
    with pytest.raises(UsageError, match="exists already"):
        write_plugin("lab", parent=tmp_path)
    assert (folder / "README.md").read_text() == "mine"


def contract(started: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", "from jurist_registry.main import main; main()", "contract", *arguments],
        env={**os.environ, "PYTHONPATH": str(started / "target")},
        cwd=started,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )


def test_contract_runs_the_kit_on_a_class(started: Path) -> None:
    done = contract(started, "jurist_my_judge.judge:MyJudge", "--options", '{"strength": 0.1}')
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout


def test_contract_fails_on_a_class_that_breaks_it(started: Path, tmp_path: Path) -> None:
    source = (started / "target/jurist_my_judge/judge.py").read_text()
    (started / "one_sided.py").write_text(source.replace("lead = (b - a) / max(a, b, 1)", "lead = 0.5"))
    done = contract(started, "one_sided:MyJudge")
    assert done.returncode == 2
    assert "test_symmetric_judges_are_symmetric" in done.stdout
    assert "error: one_sided:MyJudge does not keep its contract." in done.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["jurist_my_judge.judge"], "names no class"),
        (
            ["jurist_my_judge.judge:MyJugde"],
            "jurist_my_judge.judge has no 'MyJugde'; did you mean 'MyJudge'? (known: MyJudge)\n"
            "  try          jurist contract jurist_my_judge.judge:MyJudge\n",
        ),
        (
            ["jurist_my_judge.jugde:MyJudge"],
            "  try          install its package (pip install -e FOLDER), or run ",
        ),
        (["pathlib:Path"], "is not a component"),
        (["jurist_my_judge.judge:MyJudge", "--options", "{"], "not valid JSON"),
        (["jurist_my_judge.judge:MyJudge", "--options", "[]"], "must be a JSON object"),
        (
            ["jurist_my_judge.judge:MyJudge", "--options", '{"strenth": 1}'],
            "options.strenth: unknown option; did you mean 'strength'?",
        ),
    ],
)
def test_contract_says_what_is_wrong_with_its_arguments(
    jurist: Any, capsys: pytest.CaptureFixture[str], started_plugins: Path, arguments: list[str], message: str
) -> None:
    assert jurist("contract", *arguments) == 2
    assert message in capsys.readouterr().err


@pytest.mark.slow
def test_it_is_green_in_a_fresh_environment(tmp_path: Path) -> None:
    folder = write_plugin("lab", parent=tmp_path)
    venv.create(tmp_path / "venv", with_pip=True)
    python = tmp_path / "venv/bin/python"
    pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    core, registry = REPOSITORY / "core", REPOSITORY / "registry"
    subprocess.run([*pip, f"{core}[testing]", registry], check=True, timeout=280)
    subprocess.run([*pip, "-e", f"{folder}[test]"], check=True, timeout=280)
    done = subprocess.run(
        [python, "-m", "pytest", "-q"], cwd=folder, capture_output=True, text=True, timeout=100, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
    listed = subprocess.run(
        [tmp_path / "venv/bin/jurist", "plugins"], capture_output=True, text=True, timeout=60, check=True
    )
    assert "jurist-lab 0.1.0\n  judge       lab" in listed.stdout
