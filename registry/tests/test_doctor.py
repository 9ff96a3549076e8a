"""The doctor: broken plugins and classes, names offered twice, requirements, stale metadata."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from jurist_registry.doctor import Diagnosis, examine
from jurist_registry.registry import Registry


def install_metadata(
    site: Path,
    project: str,
    *,
    entry_points: str = "",
    requires: tuple[str, ...] = (),
    source: Path | None = None,
) -> None:
    """Write what an installer writes about a distribution; ``source`` makes it an editable install."""
    folder = site / f"{project.replace('-', '_')}-0.1.0.dist-info"
    folder.mkdir(parents=True)
    lines = ["Metadata-Version: 2.1", f"Name: {project}", "Version: 0.1.0"]
    lines += [f"Requires-Dist: {requirement}" for requirement in requires]
    (folder / "METADATA").write_text("\n".join(lines) + "\n")
    if entry_points:
        (folder / "entry_points.txt").write_text(f"[jurist]\n{entry_points}\n")
    if source is not None:
        origin = {"url": source.as_uri(), "dir_info": {"editable": True}}
        (folder / "direct_url.json").write_text(json.dumps(origin))


def about(diagnoses: list[Diagnosis], subject: str) -> Diagnosis:
    [found] = [diagnosis for diagnosis in diagnoses if subject in diagnosis.subject]
    return found


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path / "site"))
    return tmp_path / "site"


def test_everything_broken_is_found(broken_plugins: Path) -> None:
    diagnoses = examine(Registry.discover())
    assert about(diagnoses, "plugin misspelt_hook (jurist-misspelt-hook 0.1.0)").broken
    absent = about(diagnoses, "judge absent (jurist-missing-class 0.1.0")
    assert "has no attribute 'Absent'" in absent.cause
    twin = about(diagnoses, "judge twin")
    assert twin.cause == "offered by jurist-duplicate-one 0.1.0 and by jurist-duplicate-two 0.1.0"
    assert twin.hint.endswith("'jurist-duplicate-one:twin' or 'jurist-duplicate-two:twin'")


def test_core_alone_has_nothing_broken() -> None:
    assert [diagnosis for diagnosis in examine(Registry()) if diagnosis.broken] == []


def test_an_entry_point_added_after_an_editable_install_is_stale(site: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "pyproject.toml").write_text('[project.entry-points.jurist]\nlab = "jurist_lab.plugin"\n')
    install_metadata(site, "jurist-lab", source=source)
    stale = about(examine(Registry()), "distribution jurist-lab 0.1.0")
    assert stale == Diagnosis(
        "distribution jurist-lab 0.1.0",
        "its entry points are stale: pyproject.toml names lab = jurist_lab.plugin, but none is installed",
        f"pip install -e {source}",
        broken=False,
    )


def test_an_editable_install_that_agrees_with_its_source_is_fine(site: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.mkdir()
    (source / "pyproject.toml").write_text('[project.entry-points.jurist]\nlab = "jurist_lab.plugin"\n')
    install_metadata(site, "jurist-lab", source=source, entry_points="lab = jurist_lab.plugin")
    assert not [found for found in examine(Registry()) if "jurist-lab" in found.subject]


def test_an_editable_install_whose_folder_is_gone_is_stale(site: Path, tmp_path: Path) -> None:
    install_metadata(site, "jurist-lab", source=tmp_path / "gone", entry_points="lab = jurist_lab.plugin")
    assert "has no pyproject.toml any more" in about(examine(Registry()), "jurist-lab").cause


def test_requirements_of_others_that_are_not_met_are_warnings(site: Path) -> None:
    requires = ("pluggy>=99", "no-such-project", "pytest>=99; extra == 'test'", "click>=1")
    install_metadata(site, "jurist-lab", entry_points="lab = jurist.builtin", requires=requires)
    found = [d for d in examine(Registry()) if d.subject == "plugin lab (jurist-lab 0.1.0)"]
    assert [diagnosis.broken for diagnosis in found] == [False, False]
    assert found[0].cause.startswith("jurist-lab requires pluggy>=99, but 1.")
    assert found[1].cause == "jurist-lab requires no-such-project, but it is not installed"


def test_metadata_that_cannot_be_read_breaks_only_its_plugin(site: Path) -> None:
    install_metadata(site, "jurist-lab", entry_points="lab = jurist.builtin", requires=("???",))
    registry = Registry.discover(only=["lab"])
    [broken] = registry.broken
    assert broken.cause.startswith("InvalidRequirement")
    assert registry.find("aggregator", "majority")
