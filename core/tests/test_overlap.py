"""Prompts that are measured on after they were trained on: the plan and the run tell of them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pluggy
import pytest

from jurist import hookimpl, hookspecs
from jurist.events import Events
from jurist.planning.planner import plan
from jurist.preflight import check
from jurist.recipe import Recipe
from jurist.run import run

REVISE = {"stage": "revise", "generator": "echo", "critic": "rules", "reviser": "append"}
SFT = {"stage": "train", "name": "sft", "trainer": "memory"}
EVALUATE = {"stage": "evaluate", "policies": {"echo": "echo"}, "scorers": ["length"]}


@pytest.fixture
def known(source: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    source.offer("chat_model", "remote", "scored_training:Remote")
    source.offer("trainer", "steps", "scored_training:Steps")
    return source


@pytest.fixture
def prompts(write_rows: Any) -> str:
    rows = [
        {"prompt": f"question {number}", "tags": ["even"] if number % 2 == 0 else []} for number in range(9)
    ]
    path: str = write_rows(*rows)
    return path


def recipe(prompts: Any, *stages: dict[str, Any]) -> Recipe:
    return Recipe.of({"prompts": prompts, "policy": {"use": "remote", "model": "start"}, "stages": stages})


class Notices:
    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    @hookimpl
    def jurist_notice(self, component: str, text: str) -> None:
        self.seen.append((component, text))


def test_prompts_that_are_trained_on_and_measured_on_are_told(
    known: Any, prompts: str, tmp_path: Path
) -> None:
    revise = REVISE | {"prompts": {"path": prompts, "limit": 4}}
    hooks, notices = pluggy.PluginManager("jurist"), Notices()
    hooks.add_hookspecs(hookspecs)
    hooks.register(notices)
    asked = recipe(prompts, revise, SFT, EVALUATE)
    run(asked, tmp_path / "run", known, events=Events(hooks.hook), in_process=True)
    assert notices.seen == [
        (
            "evaluate",
            "4 of its 9 prompts are trained on as well ('revise'), so it says little of others; "
            "give it a file or a part of its own",
        )
    ]
    assert plan(asked, known).notices == tuple(notices.seen)


def test_a_trainer_that_samples_trains_on_its_prompts(known: Any, prompts: str) -> None:
    ppo = {"stage": "train", "name": "ppo", "trainer": "steps", "scorers": ["length"]}
    even = EVALUATE | {"name": "even", "tags": ["even"]}
    ((stage, text),) = check(recipe(prompts, ppo, even), known).notices
    assert stage == "even"
    assert text.startswith("5 of its 5 prompts are trained on as well ('ppo')")


def test_prompts_of_their_own_are_no_news(known: Any, prompts: str, write_rows: Any) -> None:
    elsewhere = EVALUATE | {"prompts": write_rows("another question", name="held_out.jsonl")}
    odd = EVALUATE | {"without_tags": ["even"]}
    for stages in (
        (REVISE, SFT, elsewhere),
        (REVISE | {"tags": ["even"]}, SFT, odd),
        (REVISE, EVALUATE),  # nothing is trained
        (EVALUATE, REVISE, SFT),  # not yet
    ):
        assert check(recipe(prompts, *stages), known).notices == ()
