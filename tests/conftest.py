"""What the tests across packages share."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

Rows = Callable[[Path], list[Any]]

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
