"""Finding components: installed, registered in the process, of core, near misses."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from jurist import Component, hookimpl
from jurist.errors import PluginError, UsageError
from jurist.events import Events
from jurist.records import Usage
from jurist.testing.fakes import ConstantJudge
from jurist_registry.catalogue import CATALOGUE
from jurist_registry.registry import Registry

FAKE_JUDGE = "jurist.testing.fakes:ConstantJudge"
FAKE_CHAT_MODEL = "jurist.testing.fakes:ScriptedChatModel"


class Plugin:
    """A plugin of this process, with whatever hooks a test gives it."""

    def __init__(self, **hooks: Any) -> None:
        for name, function in hooks.items():
            setattr(self, name, hookimpl(function))


def judge_named(*names: str) -> Plugin:
    return Plugin(jurist_judges=lambda: [Component(name, FAKE_JUDGE, "A fake.") for name in names])


@pytest.fixture
def registry() -> Registry:
    """Core alone, whatever is installed."""
    return Registry()


def test_core_brings_its_own_components(registry: Registry) -> None:
    assert {plugin.distribution for plugin in registry.plugins} == {f"jurist-core {version('jurist-core')}"}
    assert registry.find("aggregator", "majority") in registry.components("aggregator")
    for component in registry.components():
        component.load()


def test_an_object_is_registered_in_process(registry: Registry) -> None:
    registry.register(judge_named("mine"))
    component = registry.find("judge", "mine")
    assert (component.kind, component.distribution) == ("judge", "in this process")
    assert component.load() is ConstantJudge
    assert [each for each in registry.components("judge") if each.distribution == "in this process"] == [
        component
    ]


def test_a_module_is_registered_in_process(registry: Registry) -> None:
    module = ModuleType("my_notebook")

    @hookimpl
    def jurist_chat_models() -> Iterator[Component]:
        yield Component("scripted", FAKE_CHAT_MODEL, "A fake.")

    module.jurist_chat_models = jurist_chat_models  # type: ignore[attr-defined]
    registry.register(module)
    assert registry.find("chat_model", "scripted").target == FAKE_CHAT_MODEL
    assert registry.find("chat_model", "my_notebook:scripted").target == FAKE_CHAT_MODEL


@pytest.mark.parametrize("role", ["generator", "critic", "reviser", "judge", "scorer"])
def test_a_chat_model_is_found_in_every_role_it_can_play(registry: Registry, role: str) -> None:
    registry.register(Plugin(jurist_chat_models=lambda: [Component("talker", FAKE_CHAT_MODEL, "A fake.")]))
    assert registry.find(role, "talker").kind == "chat_model"


@pytest.mark.parametrize("kind", ["aggregator", "trainer"])
def test_a_chat_model_plays_no_other_role(registry: Registry, kind: str) -> None:
    registry.register(Plugin(jurist_chat_models=lambda: [Component("talker", FAKE_CHAT_MODEL, "A fake.")]))
    with pytest.raises(UsageError, match=f"'talker' is a chat model, no {kind}"):
        registry.find(kind, "talker")


def test_a_judge_of_its_own_comes_before_a_chat_model_of_that_name(registry: Registry) -> None:
    registry.register(judge_named("both"), "judges")
    registry.register(Plugin(jurist_chat_models=lambda: [Component("both", FAKE_CHAT_MODEL, "A fake.")]))
    assert registry.find("judge", "both").target == FAKE_JUDGE
    assert registry.find("critic", "both").target == FAKE_CHAT_MODEL


def test_two_plugins_of_this_process_are_told_apart_by_their_names(registry: Registry) -> None:
    registry.register(judge_named("mine"), "first")
    registry.register(judge_named("mine"), "second")
    with pytest.raises(PluginError, match="'first:mine' or 'second:mine'"):
        registry.find("judge", "mine")
    assert registry.find("judge", "second:mine").name == "mine"


def test_an_unknown_name_gets_the_near_miss_and_what_is_there(registry: Registry) -> None:
    registry.register(judge_named("good", "other"))
    with pytest.raises(UsageError) as caught:
        registry.find("judge", "gud")
    assert str(caught.value).splitlines() == [
        "no judge is called 'gud'; did you mean 'good'? "
        "(known: cascade, criteria, good, other, repeat, route)",
        "  try          jurist plugins list, to see what each plugin offers",
    ]


def test_a_name_of_another_kind_says_which(registry: Registry) -> None:
    registry.register(judge_named("strict"))
    scorer = Component("strictest", "jurist.testing.fakes:LengthScorer", "A fake.")
    registry.register(Plugin(jurist_scorers=lambda: [scorer]), "scorers")
    with pytest.raises(UsageError) as caught:
        registry.find("scorer", "strict")
    assert caught.value.what == "'strict' is a judge, no scorer (known: strictest)"
    with pytest.raises(UsageError, match="'majority' is an aggregator, no judge"):
        registry.find("judge", "majority")


def test_a_name_of_the_catalogue_says_what_to_install(registry: Registry) -> None:
    with pytest.raises(UsageError, match="try          pip install jurist-litellm"):
        registry.find("judge", "litellm")


def test_a_qualified_name_says_what_to_install(registry: Registry) -> None:
    with pytest.raises(UsageError, match="try          pip install jurist-mylab"):
        registry.find("judge", "jurist-mylab:strict")


def test_what_cannot_be_a_distribution_is_not_to_be_installed(registry: Registry) -> None:
    with pytest.raises(UsageError) as caught:
        registry.find("aggregator", "{use: majority}")
    assert caught.value.hint == "jurist plugins list, to see what each plugin offers"


def test_an_unknown_kind_gets_the_near_miss(registry: Registry) -> None:
    with pytest.raises(UsageError, match="no kind of component 'juge'; did you mean 'judge'"):
        registry.find("juge", "good")


def test_the_catalogue_names_what_the_distributions_offer() -> None:
    registry = Registry.discover(only=None)
    offered = {
        (component.name, component.distribution.split()[0])
        for component in registry.components()
        if component.distribution.split()[0] in set(CATALOGUE.values())
    }
    installed = {name for name in set(CATALOGUE.values()) if _is_installed(name)}
    assert offered == {(name, project) for name, project in CATALOGUE.items() if project in installed}


def _is_installed(project: str) -> bool:
    try:
        return bool(version(project))
    except PackageNotFoundError:
        return False


FAULTY = {
    "a misspelt hook": (
        Plugin(jurist_juges=lambda: []),
        "there is no hook 'jurist_juges'; did you mean 'jurist_judges'?",
    ),
    "a hook that forgot to yield": (
        Plugin(jurist_judges=lambda: None),
        "jurist_judges gave None; it must yield components or return a list of them",
    ),
    "a name offered twice": (judge_named("same", "same"), "jurist_judges offers 'same' twice"),
    "a name with a colon": (judge_named("a:b"), "it needs a name without ':'"),
    "no hooks": (SimpleNamespace(), "it has no function decorated with jurist.hookimpl"),
    "a hook without its decorator": (
        SimpleNamespace(jurist_trainers=lambda: []),
        "the function 'jurist_trainers' is not decorated with jurist.hookimpl",
    ),
    "a hook that raises": (Plugin(jurist_judges=lambda: [1 / 0]), "ZeroDivisionError: division by zero"),
}


@pytest.mark.parametrize("fault", FAULTY)
def test_a_faulty_plugin_is_refused_with_its_cause(registry: Registry, fault: str) -> None:
    plugin, cause = FAULTY[fault]
    with pytest.raises(PluginError) as caught:
        registry.register(plugin, "faulty")
    assert caught.value.cause is not None
    assert cause in caught.value.cause
    assert "plugin 'faulty' could not be loaded." in str(caught.value)
    assert all(component.distribution != "in this process" for component in registry.components())


def test_a_class_is_refused(registry: Registry) -> None:
    with pytest.raises(UsageError, match=r"register an instance: Plugin\(\)"):
        registry.register(Plugin)


def test_a_name_is_taken_once(registry: Registry) -> None:
    registry.register(judge_named("one"), "mine")
    with pytest.raises(UsageError, match="a plugin named 'mine' is already registered"):
        registry.register(judge_named("two"), "mine")


def test_one_object_is_registered_once(registry: Registry) -> None:
    plugin = judge_named("one")
    registry.register(plugin, "first")
    with pytest.raises(PluginError, match="the same module or object as plugin 'first:first'"):
        registry.register(plugin, "second")


def test_observers_hear_of_a_run(registry: Registry) -> None:
    heard: list[tuple[str, bool]] = []
    registry.register(
        Plugin(jurist_call=lambda component, replayed: heard.append((component, replayed))), "listener"
    )
    Events(registry.hooks).call("judge", Usage(), replayed=True)
    assert heard == [("judge", True)]


@pytest.mark.parametrize(
    ("setting", "expected"),
    [
        ("", set()),
        ("missing_class", {"jurist-missing-class"}),
        (" missing_class , jurist-duplicate-two", {"jurist-missing-class", "jurist-duplicate-two"}),
        ("jurist-duplicate-one:duplicate", {"jurist-duplicate-one"}),
    ],
)
def test_the_environment_chooses_plugins(
    broken_plugins: Path, monkeypatch: pytest.MonkeyPatch, setting: str, expected: set[str]
) -> None:
    monkeypatch.setenv("JURIST_PLUGINS", setting)
    registry = Registry.discover()
    assert {plugin.distribution.split()[0] for plugin in registry.plugins} == {"jurist-core", *expected}
    assert registry.broken == ()


def test_a_wrong_name_in_the_environment_is_an_error(
    broken_plugins: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("JURIST_PLUGINS", "missing_clas")
    with pytest.raises(UsageError, match="no plugin is called 'missing_clas'; did you mean 'missing_class'"):
        Registry.discover()


def test_a_disabled_plugin_is_left_out_and_named_when_missed(broken_plugins: Path) -> None:
    registry = Registry.discover(disabled=["missing_class"], only=["missing_class", "duplicate"])
    with pytest.raises(UsageError, match="its plugin is disabled: drop --no-plugin"):
        registry.find("judge", "jurist-missing-class:absent")


def test_disabling_what_is_not_there_is_an_error() -> None:
    with pytest.raises(UsageError, match="no plugin is called 'nobody-has-this'"):
        Registry.discover(disabled=["nobody-has-this"])
