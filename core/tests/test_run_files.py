"""The files of a run as they are read: which stages there are, what is whole, and who gave labels."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from jurist.errors import UsageError
from jurist.run_files import RECIPE, STATE, RunFiles, stage_folder


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A run whose second stage learns from a file of preferences, and whose third one is at work."""
    stages = [{"stage": "compare"}, {"stage": "train", "name": "dpo"}, {"stage": "compare", "name": "again"}]
    (tmp_path / RECIPE).write_text(json.dumps({"stages": stages}))
    (tmp_path / STATE).write_text(json.dumps({"stages": [{"name": "compare"}, {"name": "dpo"}]}))
    for number, name in enumerate(("compare", "dpo", "again"), 1):
        stage_folder(tmp_path, number, name).mkdir(parents=True)
    for name in ("judgments.jsonl", "preferences.jsonl", "summary.json"):
        (stage_folder(tmp_path, 1, "compare") / name).write_text('{"preferences": 1}\n')
    (stage_folder(tmp_path, 2, "dpo") / "preferences.jsonl").write_text("{}\n")
    for name in ("judgments.jsonl.part", "preferences.jsonl.part"):
        (stage_folder(tmp_path, 3, "again") / name).write_text("{}\n")
    return tmp_path


def test_stages_are_those_of_the_recipe_and_finished_where_the_run_says_so(folder: Path) -> None:
    stages = RunFiles.read(folder).stages()
    assert [(stage.number, stage.name, stage.kind, stage.finished) for stage in stages] == [
        (1, "compare", "compare", True),
        (2, "dpo", "train", True),
        (3, "again", "compare", False),
    ]
    assert [stage.folder.name for stage in stages] == ["01-compare", "02-dpo", "03-again"]
    assert stages[0].summary() == {"preferences": 1}
    assert stages[1].summary() == {}


def test_a_stage_at_work_has_drafts(folder: Path) -> None:
    done, _, at_work = RunFiles.read(folder).stages()
    assert (at_work.file("judgments.jsonl") or Path()).name == "judgments.jsonl.part"
    assert (done.file("judgments.jsonl") or Path()).name == "judgments.jsonl"
    assert done.file("drift.json") is None


def test_labels_are_given_by_finished_stages_that_judged(folder: Path) -> None:
    assert [stage.name for stage in RunFiles.read(folder).labelling()] == ["compare"]
    (stage_folder(folder, 1, "compare") / "preferences.jsonl").write_text("")
    assert RunFiles.read(folder).labelling() == []


@pytest.mark.parametrize(
    ("name", "content"), [(STATE, "{"), (STATE, "[]"), (RECIPE, "stages: ["), (RECIPE, None)]
)
def test_a_folder_whose_files_are_damaged_or_missing_is_no_run(folder: Path, name: str, content: Any) -> None:
    if content is None:
        (folder / name).unlink()
    else:
        (folder / name).write_text(content)
    with pytest.raises(UsageError, match="is not the folder of a run"):
        RunFiles.read(folder)
