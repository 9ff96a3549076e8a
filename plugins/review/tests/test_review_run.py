"""A run that core itself carries out, with fakes for models: its report agrees with its files."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pluggy
import pytest

from jurist import hookspecs
from jurist.component import Component
from jurist.events import Events
from jurist.planning.planner import plan
from jurist.recipe import Recipe
from jurist.run import run
from jurist.run_directory import Run
from jurist_review import plugin
from jurist_review.planned import of_stage
from jurist_review.reading import read_run

COMPONENTS = {
    "chat": ("chat_model", "jurist.testing.fakes:ScriptedChatModel"),
    "echo": ("generator", "jurist.testing.fakes:EchoGenerator"),
    "rules": ("critic", "jurist.testing.fakes:RuleCritic"),
    "append": ("reviser", "jurist.testing.fakes:AppendReviser"),
    "constant": ("judge", "jurist.testing.fakes:ConstantJudge"),
    "flaky": ("judge", "jurist.testing.fakes:FlakyJudge"),
    "silent": ("judge", "jurist.testing.fakes:AbstainingJudge"),
    "length": ("scorer", "jurist.testing.fakes:LengthScorer"),
    "memory": ("trainer", "jurist.testing.fakes:MemoryTrainer"),
    "majority": ("aggregator", "jurist.aggregators.majority:MajorityVote"),
}
STAGES = [
    {"stage": "revise", "generator": "echo", "critic": "rules", "reviser": "append", "rounds": 2},
    {
        "stage": "compare",
        "samples": 2,
        "generator": {"use": "chat", "replies": ["one", "two", "three"]},
        "judges": [
            {"use": "constant", "preference": 0.8},
            "silent",
            {"use": "flaky", "every": 1, "retryable": False},
        ],
        "orders": "one",
    },
    {"stage": "evaluate", "scorers": ["length"], "policies": {"chat": "policy"}},
]


class Source:
    """The fakes under short names."""

    hooks = None

    def find(self, kind: str, name: str) -> Component:
        own, target = COMPONENTS[name]
        return Component(name, target, "a fake").collected(own, "jurist-core 0.1.0")


@pytest.fixture
def finished(tmp_path: Path) -> Run:
    manager = pluggy.PluginManager("jurist")
    manager.add_hookspecs(hookspecs)
    manager.register(plugin)
    recipe = Recipe.of(settings_of(tmp_path))
    return run(recipe, tmp_path / "run", Source(), events=Events(manager.hook))


def settings_of(folder: Path) -> dict[str, Any]:
    prompts = folder / "prompts.jsonl"
    prompts.write_text("\n".join(json.dumps(text) for text in ("bad", "fine", "bad too")))
    return {
        "name": "fakes",
        "note": "Nothing was learnt.",
        "prompts": str(prompts),
        "constitution": {
            "name": "tiny",
            "principles": [{"name": "clean", "description": "Say nothing bad."}],
        },
        "policy": {"use": "chat", "replies": ["alpha", "beta"]},
        "stages": STAGES,
    }


def test_a_run_ends_with_a_report_of_what_its_files_say(finished: Run) -> None:
    page = (finished.folder / "report.html").read_text(encoding="utf-8")
    assert re.search(r"fakes <span[^>]*>done</span>", page)
    assert "Nothing was learnt." in page
    assert "Not everything could be read" not in page
    reading = read_run(finished.folder)
    assert reading.problems == []
    revise, compare, evaluate = reading.stages
    assert revise.trajectories is not None
    assert {r.number: dict(r.principles) for r in revise.trajectories.rounds} == {
        int(number): names for number, names in revise.summary["violations_by_round"].items()
    }
    assert compare.jury is not None
    silent = next(member for member in compare.jury.members if member.name == "silent")
    flaky = next(member for member in compare.jury.members if member.name == "flaky")
    assert silent.count("abstentions") == flaky.count("failures") == compare.summary["comparisons"] > 0
    assert silent.agreement is None
    assert [list(example.answers) for example in evaluate.examples] == [["chat"]] * 3
    for stage in reading.stages:
        assert "usage" in stage.summary


def test_a_run_stays_within_its_plan(finished: Run) -> None:
    planned = plan(finished.recipe, Source())
    path = finished.folder / "plan.json"
    path.write_text(json.dumps(planned.model_dump(mode="json")), encoding="utf-8")
    reading = read_run(finished.folder)
    assert reading.plan == planned
    held = {s.name: of_stage(planned, s.name, s.summary) for s in reading.stages}
    assert "completion_tokens" not in held["revise"], "of these fakes nobody knows what they use"
    for name in ("compare", "evaluate"):
        for figure in ("completion_tokens", "usd"):
            assert held[name][figure].verdict == "as planned"
