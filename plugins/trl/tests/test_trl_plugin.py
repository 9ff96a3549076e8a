"""What the plugin offers, and that looking at it loads nothing heavy."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from jurist.contracts import Trainer
from jurist.options import Options
from jurist_trl import plugin
from jurist_trl.groups.options import GRPOOptions, RLOOOptions
from jurist_trl.ppo.options import PPOOptions
from jurist_trl.reward_judge import RewardModelOptions
from jurist_trl.supervised.dpo import DPOOptions
from jurist_trl.supervised.reward import RewardOptions
from jurist_trl.supervised.sft import SFTOptions


def test_the_components_load_and_say_what_they_turn_into_what() -> None:
    offered = {c.name: c.collected("trainer", "jurist-trl").load() for c in plugin.jurist_trainers()}
    made = {name: (t.consumes, t.produces) for name, t in offered.items() if issubclass(t, Trainer)}
    assert made == {
        "trl-sft": ("revisions", "policy"),
        "trl-reward": ("preferences", "reward_model"),
        "trl-dpo": ("preferences", "policy"),
        "trl-ppo": ("prompts", "policy"),
        "trl-grpo": ("prompts", "policy"),
        "trl-rloo": ("prompts", "policy"),
    }
    assert [c.collected("scorer", "jurist-trl").load().__name__ for c in plugin.jurist_scorers()] == [
        "RewardModelScorer"
    ]
    judge = next(iter(plugin.jurist_judges())).collected("judge", "jurist-trl").load()
    assert judge.capabilities == {"symmetric"}


@pytest.mark.parametrize(
    "options",
    [SFTOptions, RewardOptions, DPOOptions, PPOOptions, GRPOOptions, RLOOOptions, RewardModelOptions],
)
def test_the_readme_explains_every_option(options: type[Options]) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert [name for name in options.model_fields if not re.search(rf"`{name}[`:]", readme)] == []


def test_components_and_their_options_load_without_torch() -> None:
    code = """
import json, sys
from jurist_trl import plugin
for kind in ("trainer", "scorer", "judge"):
    for component in getattr(plugin, f"jurist_{kind}s")():
        component.collected(kind, "jurist-trl").load().Options.model_json_schema()
heavy = {"torch", "transformers", "trl", "datasets", "numpy", "accelerate", "peft"}
print(json.dumps(sorted(heavy & set(sys.modules))))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert json.loads(done.stdout) == []
