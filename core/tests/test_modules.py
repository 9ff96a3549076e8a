"""Modules named in recipes are found where a training would find them, and are not run."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jurist.files.modules import has_module, module_file


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "beside.py").write_text("raise SystemExit('it was run')")
    (tmp_path / "folder" / "inner").mkdir(parents=True)
    (tmp_path / "folder" / "__init__.py").write_text("raise SystemExit('it was run')")
    (tmp_path / "folder" / "inner" / "deep.py").write_text("")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_modules_in_the_working_directory_are_found_and_not_run(here: Path) -> None:
    assert module_file("beside") == here / "beside.py"
    assert module_file("folder.inner.deep") == here / "folder" / "inner" / "deep.py"


def test_installed_modules_are_found() -> None:
    assert module_file("json") == Path(json.__file__)
    assert has_module("math")


@pytest.mark.parametrize("name", ["nowhere", "folder.nowhere", "beside.inside", "json.nowhere.deep", ""])
def test_what_is_not_there_is_none(name: str) -> None:
    assert not has_module(name)
    assert module_file(name) is None
