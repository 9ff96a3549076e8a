"""Packages that the tests install for real, into folders of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

import pytest

from jurist.contracts import CONTRACTS
from jurist_registry.main import main
from jurist_registry.scaffold import write_plugin

REPOSITORY = Path(__file__).parents[2]

Command = Callable[..., int]


def pip_install(packages: Iterable[Path], target: Path) -> None:
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    command = [sys.executable, "-m", "pip", "install", *options, "--target", str(target), *map(str, packages)]
    subprocess.run(command, check=True, timeout=200)


@pytest.fixture(scope="session")
def broken_target(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with every package of tests/broken_plugins installed in it."""
    target = tmp_path_factory.mktemp("broken")
    packages = sorted(path.parent for path in REPOSITORY.glob("tests/broken_plugins/*/pyproject.toml"))
    assert len(packages) == 10
    pip_install(packages, target)
    return target


@pytest.fixture(scope="session")
def started(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a new plugin of every kind in ``packages``, installed in ``target``."""
    folder = tmp_path_factory.mktemp("started")
    packages = [write_plugin(f"my-{kind}", kind, folder / "packages") for kind in CONTRACTS]
    pip_install(packages, folder / "target")
    return folder


@pytest.fixture
def broken_plugins(broken_target: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The broken plugins, installed for this process."""
    monkeypatch.syspath_prepend(str(broken_target))
    return broken_target


@pytest.fixture
def started_plugins(started: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The new plugins, installed for this process."""
    monkeypatch.syspath_prepend(str(started / "target"))
    return started


@pytest.fixture
def jurist() -> Command:
    """Runs the command in this process and gives its exit code."""

    def run(*arguments: object) -> int:
        with pytest.raises(SystemExit) as exit_:
            main([str(argument) for argument in arguments])
        code = exit_.value.code
        assert isinstance(code, int)
        return code

    return run


def modules_loaded(program: str, *path: Path) -> set[str]:
    """The modules that a new process has loaded after ``program``."""
    report = "import sys; print('\\n' + ' '.join(sys.modules))"
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(map(str, path))}
    done = subprocess.run(
        [sys.executable, "-c", f"{program}\n{report}"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


@pytest.fixture
def loaded() -> Callable[..., set[str]]:
    return modules_loaded
