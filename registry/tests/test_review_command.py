"""``jurist review``: what it hands to the plugin, and what it says where there is none."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jurist.hookspecs import hookimpl
from jurist_registry.registry import Registry


class Noted:
    """A plugin that notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[dict[str, Any]] = []

    @hookimpl(tryfirst=True)
    def jurist_review(
        self,
        run: Path,
        stage: str,
        reviewer: str,
        size: int | None,
        seed: int,
        host: str,
        port: int,
        open_page: bool,
    ) -> str:
        self.asked.append({k: v for k, v in locals().items() if k != "self"})
        return "served"

    @hookimpl(tryfirst=True)
    def jurist_review_exchange(self, direction: str, path: Path, size: int | None) -> str:
        self.asked.append({"direction": direction, "path": path, "size": size})
        return "exchanged"


@pytest.fixture
def noted(monkeypatch: pytest.MonkeyPatch) -> Noted:
    plugin, discover = Noted(), Registry.discover

    def with_plugin(**options: Any) -> Registry:
        registry = discover(only=(), **options)
        registry.register(plugin, "noted")
        return registry

    monkeypatch.setattr(Registry, "discover", with_plugin)
    return plugin


def test_options_are_handed_to_the_plugin(
    jurist: Any, noted: Noted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert jurist("review", str(tmp_path)) == 0
    assert capsys.readouterr().out == "served\n"
    assert jurist(
        "review", str(tmp_path), "--stage", "s", "--size", "7", "--seed", "3", "--port", "80", "--host", "h",
        "--reviewer", "ann", "--no-open",
    ) == 0  # fmt: skip
    shared = {"run": tmp_path}
    assert noted.asked == [
        {
            **shared,
            **{"stage": "", "reviewer": "", "size": None, "seed": 0},
            **{"host": "127.0.0.1", "port": 0, "open_page": True},
        },
        {
            **shared,
            **{"stage": "s", "reviewer": "ann", "size": 7, "seed": 3},
            **{"host": "h", "port": 80, "open_page": False},
        },
    ]


@pytest.mark.parametrize("direction", ["export", "to-argilla", "from-argilla"])
def test_files_are_exchanged_instead(
    jurist: Any, noted: Noted, tmp_path: Path, capsys: pytest.CaptureFixture[str], direction: str
) -> None:
    assert jurist("review", str(tmp_path), f"--{direction}", str(tmp_path / "x"), "--size", "5") == 0
    assert noted.asked == [{"direction": direction, "path": tmp_path / "x", "size": 5}]
    assert capsys.readouterr().out == "exchanged\n"


def test_two_exchanges_at_once_are_a_mistake(
    jurist: Any, noted: Noted, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert jurist("review", str(tmp_path), "--export", "x", "--to-argilla", "y") == 2
    assert "one of --export and --to-argilla at a time" in capsys.readouterr().err
    assert noted.asked == []


def test_without_a_plugin_it_says_what_to_install(
    jurist: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JURIST_PLUGINS", "")
    assert jurist("review", str(tmp_path)) == 2
    assert "pip install jurist-review" in capsys.readouterr().err


@pytest.mark.parametrize(
    "arguments", [("report",), ("review",), ("ledger", "export"), ("spot-check", "sample")], ids=" ".join
)
def test_a_run_that_is_not_there_may_be_another_of_its_folder(
    jurist: Any,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    arguments: tuple[str, ...],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("mine", "other"):
        (tmp_path / "runs" / name).mkdir(parents=True)
        (tmp_path / "runs" / name / "run.json").write_text("{}")
    (tmp_path / "runs" / "mein").touch()  # no folder, so no run
    for asked, hint in (
        ("runs/mime", "did you mean 'runs/mine'?"),
        ("mime", "did you mean 'runs/mine'?"),
        ("runs/x", "name one of these: runs/mine, runs/other"),
    ):
        assert jurist(*arguments, asked) == 2
        assert capsys.readouterr().err == (
            f"error: {asked} is not the folder of a run: there is no such folder\n  try          {hint}\n"
        )


def test_a_folder_that_is_no_run_is_a_mistake(
    jurist: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "run.json").write_text(json.dumps({"name": "x"}))
    assert jurist("review", str(tmp_path), "--no-open") == 2
    assert "is not the folder of a run" in capsys.readouterr().err
