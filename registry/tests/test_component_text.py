"""What ``jurist plugins show`` says of a component, and how options are put into words."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from click import HelpFormatter
from pydantic import Field, SecretStr

from jurist.component import Component
from jurist.contracts import BatchChatModel
from jurist.engine.limits import Limits
from jurist.options import Options
from jurist.prices import Price
from jurist.testing.fakes import ConstantJudge, MemoryTrainer, ScriptedChatModel
from jurist_registry.component_text import write_component
from jurist_registry.option_words import default_words, type_words


class TalkativeOptions(Options):
    model: str = Field(description="As `the server` calls it.")
    reasoning: Literal["auto", "yes"] = "auto"
    price: Price | None = None


class Talkative(ScriptedChatModel, BatchChatModel):  # type: ignore[misc]  # its methods are never called
    Options = TalkativeOptions
    free = False
    limits = Limits(concurrency=64, timeout=None)


@pytest.fixture
def shown(monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """What is written of a class, each setting in one line where the width is not said."""

    def write(kind: str, shown: type, width: int = 1000) -> str:
        monkeypatch.setattr(Component, "load", lambda self: shown)
        formatter = HelpFormatter(width=width)
        write_component(Component("mine", "mine:Mine", "Is mine.", kind), formatter)
        return formatter.getvalue()

    return write


def headed(text: str) -> dict[str, list[str]]:
    """The lines below each heading."""
    parts = [part.splitlines() for part in text.split("\n\n")[1:]]
    return {heading.rstrip(":"): [" ".join(line.split()) for line in lines] for heading, *lines in parts}


def test_a_chat_model_is_shown_with_all_that_a_recipe_can_say_of_it(shown: Any) -> None:
    found = headed(shown("chat_model", Talkative))
    assert found["Options"] == [
        "model text; required. As the server calls it.",
        "reasoning auto or yes; default auto",
        "price Price or null; default null",
    ]
    assert found["As generator, critic, reviser, judge or scorer"][0].startswith(
        "temperature number or null;"
    )
    assert found["As critic, reviser, judge or scorer"][0].startswith("language auto or en or zh;")
    assert found["As critic"][0].startswith("mode rules or free; default rules")
    assert found["As judge"][0].startswith("labels auto or logprobs or verdict or stated; default")
    assert found["As scorer"][0].startswith("labels auto or logprobs or verdict; default auto")
    assert found["In examples"][0].startswith("prompt list of Message; required")
    assert found["In price"][0].startswith("input number; required")
    assert [line.split()[0] for line in found["Beside its options"]] == ["name", "limits", "batch"]
    assert found["In limits"][0].startswith("concurrency integer; default 64")
    assert found["In limits"][-1].startswith("timeout number or null; default null")
    assert found["In batch, or batch: true"][0].startswith("size integer; default 10000")


def test_what_is_shared_by_all_chat_models_is_explained(shown: Any) -> None:
    found = headed(shown("chat_model", Talkative))
    shared = [line for heading, lines in found.items() if heading.startswith("As ") for line in lines]
    assert len(shared) == 16
    assert [line for line in shared + found["In limits"] + found["In price"] if not line.endswith(".")] == []


def test_it_fits_in_80_columns(shown: Any) -> None:
    assert max(map(len, shown("chat_model", Talkative, width=80).splitlines())) <= 80


def test_what_does_not_apply_is_not_shown(shown: Any) -> None:
    assert list(headed(shown("judge", ConstantJudge))) == ["Options", "Beside its options", "In limits"]
    assert list(headed(shown("trainer", MemoryTrainer))) == ["Beside its options"]


@pytest.mark.parametrize(
    ("annotation", "words"),
    [
        (SecretStr | None, "secret or null"),
        (tuple[float, float], "[number, number]"),
        (list[Annotated[str, Field(min_length=1)]], "list of text"),
        (dict[str, Any], "mapping"),
        (dict[str, int], "mapping to integer"),
        (Literal["a", "b"] | Path, "`a` or `b` or path"),
        (tuple[Price, ...], "list of Price"),
    ],
)
def test_types_are_in_the_words_of_the_documentation(annotation: Any, words: str) -> None:
    assert type_words(annotation) == words


def test_defaults_are_as_yaml_writes_them() -> None:
    class Mixed(Options):
        key: SecretStr = SecretStr("hunter2")
        folder: Path = Path("runs")
        none: None = None
        limits: Limits = Limits()
        names: tuple[str, ...] = ("a",)
        text: str = ""
        needed: int

    assert {name: default_words(field) for name, field in Mixed.model_fields.items()} == {
        "key": '`"**********"`',
        "folder": '`"runs"`',
        "none": "`null`",
        "limits": "`{}`",
        "names": '`["a"]`',
        "text": '`""`',
        "needed": "required",
    }
