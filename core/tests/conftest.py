"""A component source and small inputs for the tests of recipes, stages and runs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jurist.component import Component
from jurist.errors import UsageError
from jurist.near_names import near_miss

FAKES = {
    "chat_model": {"chat": "ScriptedChatModel"},
    "generator": {"echo": "EchoGenerator"},
    "critic": {"rules": "RuleCritic"},
    "reviser": {"append": "AppendReviser"},
    "judge": {"constant": "ConstantJudge", "flaky": "FlakyJudge", "silent": "AbstainingJudge"},
    "scorer": {"length": "LengthScorer"},
    "trainer": {"memory": "MemoryTrainer"},
}
JUDGES_OF_JUDGES = {
    "cascade": "cascade:Cascade",
    "repeat": "repeat:Repeat",
    "route": "route:Route",
    "criteria": "criteria:Criteria",
}
AGGREGATORS = {
    "majority": "majority:MajorityVote",
    "weighted": "weighted:WeightedMean",
    "confidence": "confidence:ConfidenceThreshold",
    "constitution-filter": "constitution_filter:ConstitutionFilter",
}


class FakeSource:
    """The fakes of ``jurist.testing`` under short names, core's judges of judges and its aggregators."""

    hooks = None

    def __init__(self) -> None:
        self.known: dict[tuple[str, str], Component] = {}
        for kind, named in FAKES.items():
            for name, target in named.items():
                self.offer(kind, name, f"jurist.testing.fakes:{target}")
        for name, target in JUDGES_OF_JUDGES.items():
            self.offer("judge", name, f"jurist.judges.{target}")
        for name, target in AGGREGATORS.items():
            self.offer("aggregator", name, f"jurist.aggregators.{target}")

    def offer(self, kind: str, name: str, target: str) -> None:
        """Make a class known."""
        component = Component(name, target, "a fake").collected(kind, "jurist-core 0.1.0")
        self.known[kind, name] = component

    def find(self, kind: str, name: str) -> Component:
        """The component, or the chat model of that name."""
        for key in ((kind, name), ("chat_model", name)):
            if key in self.known:
                return self.known[key]
        raise UsageError(f"no {kind} '{name}'{near_miss(name, (n for k, n in self.known if k == kind))}")


@pytest.fixture
def source() -> FakeSource:
    """Fakes by name."""
    return FakeSource()


@pytest.fixture
def write_rows(tmp_path: Path) -> Callable[..., str]:
    """Writes JSONL files into the test's folder and gives their path."""

    def write(*rows: Any, name: str = "prompts.jsonl") -> str:
        path = tmp_path / name
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return str(path)

    return write


@pytest.fixture
def rows() -> Callable[[Path], list[Any]]:
    """Reads a JSONL file."""
    return lambda path: [json.loads(line) for line in path.read_text().splitlines()]
