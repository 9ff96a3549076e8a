"""Folders appear whole or not at all."""

from __future__ import annotations

from pathlib import Path

import pytest

from jurist.files.folders import replacing


def test_a_new_folder_takes_the_place_of_the_old_one(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "old").touch()
    with replacing(folder) as partial:
        (partial / "new").touch()
        assert [path.name for path in folder.iterdir()] == ["old"]
    assert [path.name for path in folder.iterdir()] == ["new"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_an_error_leaves_the_old_folder_and_the_next_try_begins_anew(tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "old").touch()

    def half_of(partial: Path) -> None:
        (partial / "half").touch()
        raise KeyError

    with pytest.raises(KeyError), replacing(folder) as partial:
        half_of(partial)
    assert [path.name for path in folder.iterdir()] == ["old"]
    with replacing(folder):
        pass
    assert not list(folder.iterdir())
