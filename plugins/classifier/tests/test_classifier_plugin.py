"""What the plugin offers, and that looking at it loads nothing heavy."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic import ValidationError

from jurist.contracts import Judge, Trainer
from jurist.options import Options
from jurist_classifier import plugin
from jurist_classifier.judge import ClassifierJudgeOptions
from jurist_classifier.trainer import ClassifierOptions


def test_trainer_and_judge_have_one_name_and_say_what_they_do() -> None:
    (trainer,) = plugin.jurist_trainers()
    (judge,) = plugin.jurist_judges()
    assert trainer.name == judge.name == "classifier"  # so that a labeler answers as this judge
    trains = trainer.collected("trainer", "jurist-classifier").load()
    assert issubclass(trains, Trainer)
    assert (trains.consumes, trains.produces) == ("preferences", "labeler")
    judges = judge.collected("judge", "jurist-classifier").load()
    assert issubclass(judges, Judge)
    assert judges.capabilities == {"symmetric"}


@pytest.mark.parametrize("options", [ClassifierOptions, ClassifierJudgeOptions])
def test_the_readme_explains_every_option(options: type[Options]) -> None:
    readme = (Path(__file__).parents[1] / "README.md").read_text(encoding="utf-8")
    assert [name for name in options.model_fields if not re.search(rf"`{name}[`:]", readme)] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"head": "linear"},
        {"max_length": 4},
        {"learning_rate": 0},
        {"epochs": 0},
        {"patience": 0},
        {"calibration_fraction": 0},
        {"test_fraction": 0.5},
        {"bace": "model"},
    ],
)
def test_wrong_options_are_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError, match=next(iter(wrong))):
        ClassifierOptions.model_validate(wrong)


def test_components_and_their_options_load_without_torch() -> None:
    code = """
import json, sys
from jurist_classifier import plugin
for kind in ("trainer", "judge"):
    for component in getattr(plugin, f"jurist_{kind}s")():
        component.collected(kind, "jurist-classifier").load().Options.model_json_schema()
heavy = {"torch", "transformers", "safetensors", "numpy", "jinja2"}
print(json.dumps(sorted(heavy & set(sys.modules))))
"""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60
    )
    assert json.loads(done.stdout) == []
