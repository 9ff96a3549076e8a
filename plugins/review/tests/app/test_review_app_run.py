"""A run that core itself carries out leaves what the live view and the review need."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

import pluggy
import pytest

from jurist import hookspecs
from jurist.component import Component
from jurist.events import Events
from jurist.recipe import Recipe
from jurist.run import run
from jurist_review import plugin
from jurist_review.app.desk import Desk, Sampling
from jurist_review.app.exporting import export_labels
from jurist_review.app.live import read_state
from jurist_review.app.queue import shown_order
from jurist_review.app.votes import Action, Event

COMPONENTS = {
    "constant": ("judge", "jurist.testing.fakes:ConstantJudge"),
    "silent": ("judge", "jurist.testing.fakes:AbstainingJudge"),
    "majority": ("aggregator", "jurist.aggregators.majority:MajorityVote"),
}
DOCUMENTATION = Path(__file__).parents[4] / "docs" / "review.md"


class Source:
    """The fakes under short names."""

    hooks = None

    def find(self, kind: str, name: str) -> Component:
        own, target = COMPONENTS[name]
        return Component(name, target, "a fake").collected(own, "jurist-core 0.1.0")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A finished run that compared twelve pairs."""
    manager = pluggy.PluginManager("jurist")
    manager.add_hookspecs(hookspecs)
    manager.register(plugin)
    pairs = [{"prompt": f"Say {n}.", "response_a": f"{n}", "response_b": f"no {n}"} for n in range(12)]
    (tmp_path / "pairs.jsonl").write_text("".join(json.dumps(pair) + "\n" for pair in pairs))
    judges = [{"use": "constant", "preference": 0.8}, "silent"]
    stage = {"stage": "compare", "pairs": str(tmp_path / "pairs.jsonl"), "judges": judges, "orders": "one"}
    recipe = Recipe.of({"name": "small", "stages": [stage]})
    run(recipe, tmp_path / "run", Source(), events=Events(manager.hook))
    return tmp_path / "run"


def test_its_progress_and_its_samples_are_those_of_its_files(folder: Path) -> None:
    kept = json.loads((folder / "review/progress.json").read_text())
    assert (kept["stage"], kept["total"], kept["done"]) == ("compare", 12, 12)
    assert kept["outcomes"] == {"preferred": 12}
    state = read_state(folder)
    assert (state.status, state.progress) == ("done", None)
    assert [(stage.name, stage.state) for stage in state.stages] == [("compare", "done")]
    desk = Desk(folder, Sampling(size=5))
    desk.catch_up()
    queue = desk.queue()
    assert queue is not None
    assert desk.listing.counts("compare")["outcome"] == {"preferred": 12}
    assert [each.stratum for each in queue.drawn()] == ["contested"] * 5


@pytest.mark.slow
def test_a_jury_is_measured_on_the_labels_and_learns_from_them(make_run: Any, make_judged: Any) -> None:
    folder = make_run(make_judged(120))
    desk = Desk(folder, Sampling(size=100))
    desk.catch_up()
    queue = desk.queue()
    assert queue is not None
    people = random.Random(0)
    for each in queue.drawn():
        row = desk.rows.compared("compare", each.item)
        assert row is not None
        label: Any = row.preferred if people.random() < 0.8 else people.choice(["A", "B", "tie"])
        order = shown_order(each.item, "ann")
        vote = Action(each.item, "", "ann", "compare", each.item, "vote", order, label)
        desk.votes.add(vote, 0)
    export_labels(queue, desk.votes, folder, folder / "labels.jsonl")
    labels = folder / "stages/02-compare/human_labels.jsonl"
    command = [
        "validate",
        "--verdicts",
        str(labels),
        "--aggregate",
        "calibrated",
        "--json",
        str(folder / "found"),
    ]
    program = "from jurist_registry.main import main; main()"
    subprocess.run(
        [sys.executable, "-c", program, *command], check=True, timeout=120, stdout=subprocess.DEVNULL
    )
    report = json.loads((folder / "found").read_text())["report"]
    assert report["items"] == 100
    accuracy = {
        each["name"]: each["overall"]["agreement"]["mean_of_orders"]["mean"] for each in report["raters"]
    }
    assert {"x", "y", "z", "calibrated"} <= accuracy.keys()
    assert accuracy["calibrated"] > 0.6


def test_what_events_hold_is_documented() -> None:
    text = DOCUMENTATION.read_text(encoding="utf-8").split("the history:")[1].split("## ")[0]
    assert not [name for name in Event.__dataclass_fields__ if f"`{name}`" not in text]
