"""What the tests across packages share."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

Rows = Callable[[Path], list[Any]]
Start = Callable[..., "subprocess.Popen[bytes]"]

REPOSITORY = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def rows() -> Rows:
    """The values of a JSON-lines file."""
    return lambda path: [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="session")
def data() -> Path:
    """The folder of public data that is not part of the repository."""
    folder = Path(os.environ.get("JURIST_DATA") or REPOSITORY.parent / "shared" / "data")
    if not folder.exists():
        pytest.skip("the public data is not at hand; set JURIST_DATA to the folder that holds it")
    return folder


@pytest.fixture(scope="session")
def environment() -> dict[str, str]:
    """The environment for commands: one thread, no network."""
    quiet = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "PASSIVE", "HF_HUB_OFFLINE": "1", "NO_COLOR": "1"}
    return {**os.environ, **quiet}


@pytest.fixture(scope="session")
def counting(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> dict[str, str]:
    """The environment of commands that find tests/counting_plugin as an installed plugin."""
    site = tmp_path_factory.mktemp("site")
    plugin = Path(__file__).parent / "counting_plugin" / "jurist_counting.py"
    (site / plugin.name).write_bytes(plugin.read_bytes())
    about = site / "jurist_counting-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: jurist-counting\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text("[jurist]\ncounting = jurist_counting\n")
    path = [str(site), *filter(None, [environment.get("PYTHONPATH")])]
    return {**environment, "PYTHONPATH": os.pathsep.join(path)}


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the ``jurist`` command with its output in a file; ends at the latest with the test."""
    processes: list[subprocess.Popen[bytes]] = []

    def command(
        *arguments: str | Path, environment: dict[str, str], log: str = "command.log", **options: Any
    ) -> subprocess.Popen[bytes]:
        with (tmp_path / log).open("ab") as output:
            process = subprocess.Popen(
                [sys.executable, "-c", "from jurist_registry.main import main; main()", *map(str, arguments)],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=output,
                **options,
            )
        processes.append(process)
        return process

    yield command
    for process in processes:
        if process.poll() is None:
            process.kill()
        process.wait()
