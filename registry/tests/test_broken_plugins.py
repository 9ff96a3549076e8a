"""Every way of being broken: reported with distribution, cause and remedy, and in nobody's way."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from jurist.errors import PluginError, UsageError
from jurist_registry.registry import Registry

BROKEN = {
    "import_error": (
        "ModuleNotFoundError: No module named 'not_there_at_all'",
        "pip install -U jurist-import-error (or: jurist plugins doctor --why import_error)",
    ),
    "system_exit": (
        "SystemExit: usage: jurist-system-exit FILE",
        "pip install -U jurist-system-exit (or: jurist plugins doctor --why system_exit)",
    ),
    "misspelt_hook": (
        "there is no hook 'jurist_judge'; did you mean 'jurist_judges'?",
        "jurist plugins doctor --why misspelt_hook, then tell the author of jurist-misspelt-hook",
    ),
    "undecorated_hook": (
        "the function 'jurist_judges' is not decorated with jurist.hookimpl, so it is not a hook",
        "jurist plugins doctor --why undecorated_hook, then tell the author of jurist-undecorated-hook",
    ),
    "not_components": (
        "jurist_judges gave 'strict', which is not a jurist.Component",
        "jurist plugins doctor --why not_components, then tell the author of jurist-not-components",
    ),
    "incompatible": (
        "jurist-incompatible requires jurist-core>=9, but 0.1.0 is installed",
        "pip install -U jurist-incompatible jurist-core",
    ),
}
FINE = ("duplicate", "missing_class")


@pytest.fixture
def registry(broken_plugins: Path) -> Registry:
    return Registry.discover(only=[*BROKEN, "wrong_arguments", *FINE])


@pytest.mark.parametrize("name", BROKEN)
def test_each_is_reported_with_distribution_cause_and_remedy(registry: Registry, name: str) -> None:
    [broken] = [plugin for plugin in registry.broken if plugin.name == name]
    cause, hint = BROKEN[name]
    assert broken.distribution == f"jurist-{name.replace('_', '-')} 0.1.0"
    assert (broken.cause, broken.hint) == (cause, hint)


def test_wrong_arguments_are_named(registry: Registry) -> None:
    [broken] = [plugin for plugin in registry.broken if plugin.name == "wrong_arguments"]
    assert "'settings'" in broken.cause
    assert "jurist_judges" in broken.cause


def test_no_other_plugin_is_broken(registry: Registry) -> None:
    assert {plugin.name for plugin in registry.broken} == {*BROKEN, "wrong_arguments"}


def test_nothing_is_imported_before_something_is_asked_for(broken_plugins: Path) -> None:
    sys.modules.pop("jurist_missing_class.plugin", None)
    registry = Registry.discover(only=["missing_class"])
    assert "jurist_missing_class.plugin" not in sys.modules
    assert registry.find("judge", "absent").distribution == "jurist-missing-class 0.1.0"
    assert "jurist_missing_class.plugin" in sys.modules


def test_an_incompatible_plugin_is_not_even_imported(registry: Registry) -> None:
    sys.modules.pop("jurist_incompatible", None)
    assert registry.broken
    assert "jurist_incompatible" not in sys.modules


@pytest.mark.parametrize("name", ["import_error", "jurist-import-error:lost"])
def test_using_a_broken_plugin_names_its_distribution_and_cause(registry: Registry, name: str) -> None:
    with pytest.raises(PluginError) as caught:
        registry.find("judge", name)
    assert str(caught.value).splitlines() == [
        f"judge '{name}' could not be loaded.",
        "  provided by  jurist-import-error 0.1.0",
        "  cause        ModuleNotFoundError: No module named 'not_there_at_all'",
        "  try          pip install -U jurist-import-error (or: jurist plugins doctor --why import_error)",
    ]


def test_an_unknown_name_says_that_a_broken_plugin_may_have_it(registry: Registry) -> None:
    with pytest.raises(UsageError, match=r"perhaps of a broken plugin: .*incompatible \(jurist-incompatible"):
        registry.find("judge", "tomorrow")


def test_the_others_work(registry: Registry) -> None:
    component = registry.find("judge", "only_two")
    assert component.load().__module__ == "jurist_duplicate_two.judge"
    assert registry.find("aggregator", "majority").distribution.startswith("jurist-core ")


def test_a_class_that_is_missing_is_an_error_when_it_is_used(registry: Registry) -> None:
    with pytest.raises(PluginError, match="has no attribute 'Absent'"):
        registry.find("judge", "absent").load()


def test_a_name_of_two_distributions_must_be_qualified(registry: Registry) -> None:
    with pytest.raises(PluginError) as caught:
        registry.find("judge", "twin")
    assert "jurist-duplicate-one 0.1.0" in str(caught.value)
    assert "jurist-duplicate-two 0.1.0" in str(caught.value)
    assert "'jurist-duplicate-one:twin' or 'jurist-duplicate-two:twin'" in str(caught.value)


@pytest.mark.parametrize("number", ["one", "two"])
def test_a_qualified_name_is_found(registry: Registry, number: str) -> None:
    component = registry.find("judge", f"jurist-duplicate-{number}:twin")
    assert component.target == f"jurist_duplicate_{number}.judge:Twin"


def test_disabling_one_of_two_makes_the_name_clear(broken_plugins: Path) -> None:
    registry = Registry.discover(only=["duplicate"], disabled=["jurist-duplicate-one"])
    assert registry.find("judge", "twin").target == "jurist_duplicate_two.judge:Twin"
