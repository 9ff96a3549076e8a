"""The demo's recipes can be run as they are, and the command's table shows what was measured."""

import json
import os
import signal
import subprocess
import sys
from importlib import resources

import pytest

from jurist.preflight import check
from jurist.recipe import Recipe
from jurist_demo.__main__ import evaluation, table
from jurist_demo.corpus import CRITIC_TEMPLATE, REVISER_TEMPLATE
from jurist_registry.registry import Registry

RECIPES = ["demo", "reward-hacking"]


@pytest.mark.parametrize("name", RECIPES)
def test_the_recipes_pass_every_check_made_before_a_run(name):
    recipe = Recipe.load(f"package:jurist_demo/recipes/{name}.yaml")
    checked = check(recipe, Registry.discover())
    assert checked.constitution.name == "demo"
    assert checked.stages[-1].name == "evaluate"
    assert recipe.name == name


@pytest.mark.parametrize("name", RECIPES)
def test_no_stage_but_the_last_sees_the_test_prompts_or_asks_the_oracle(name):
    text = (resources.files("jurist_demo") / "recipes" / f"{name}.yaml").read_text(encoding="utf-8")
    before, last = text.split("- stage: evaluate")
    assert "test.jsonl" in last
    assert "demo-oracle" in last
    assert "test.jsonl" not in before
    assert "demo-oracle" not in before


def test_the_recipe_asks_in_the_words_that_the_base_model_was_taught():
    revise = Recipe.load("package:jurist_demo/recipes/demo.yaml").stages[0]
    assert revise.critic["template"] == CRITIC_TEMPLATE
    assert revise.reviser["template"] == REVISER_TEMPLATE


def test_the_table_shows_means_with_intervals_and_a_dash_where_nothing_was_measured(tmp_path):
    policies = {"base": {"demo-oracle.violation": {"mean": 0.5, "low": 0.451, "high": 0.549, "n": 400}}}
    for stage, content in (("01-sft", {}), ("02-evaluate", {"policies": policies})):
        folder = tmp_path / "stages" / stage
        folder.mkdir(parents=True)
        (folder / "summary.json").write_text(json.dumps(content))
    (tmp_path / "stages" / "02-evaluate.of-other-settings").mkdir()
    stages = [{"stage": "train", "name": "sft"}, {"stage": "evaluate", "name": "evaluate"}]
    (tmp_path / "recipe.yaml").write_text(json.dumps({"stages": stages}))
    (tmp_path / "run.json").write_text("{}")
    lines = table(evaluation(tmp_path)).splitlines()
    assert lines[0].split("  ")[-1] == "KL to base"
    assert lines[1].split("  ")[0] == "base"
    assert "0.50 [0.45, 0.55]" in lines[1]
    assert lines[1].split()[-4:] == ["-"] * 4


def test_ctrl_c_lets_the_run_end_in_good_order(tmp_path):
    command = [sys.executable, "-m", "jurist_demo", "--out", str(tmp_path / "run")]
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True, start_new_session=True) as process:
        while not process.stderr.readline().startswith("revise: begins"):
            assert process.poll() is None
        os.killpg(process.pid, signal.SIGINT)  # as a terminal does: to everyone in the group
        said = process.stderr.read()
    assert process.returncode == 130
    assert "Traceback" not in said
    assert json.loads((tmp_path / "run" / "run.json").read_text())["status"] == "interrupted"
