"""Recipes: reading, overriding, and saying everything that is wrong at once."""

from __future__ import annotations

from pathlib import Path

import pytest

from jurist.errors import UsageError
from jurist.recipe import Recipe, expand, resolve_path

STAGES = [
    {"stage": "compare", "judges": ["one"]},
    {"stage": "train", "name": "sft", "trainer": {"use": "t", "epochs": 1}},
]


def test_stages_are_called_by_their_kind_unless_they_have_a_name() -> None:
    assert [stage.name for stage in Recipe.of({"stages": STAGES}).stages] == ["compare", "sft"]


def test_overrides_reach_stages_by_name_and_by_number_and_lists_by_number() -> None:
    recipe = Recipe.of(
        {"prompts": "a.jsonl", "policy": "chat", "stages": STAGES},
        ["seed=7", "stages.sft.trainer.epochs=3", "stages.0.judges=[two, three]", "prompts.limit=5",
         "policy.model=tiny", "stages.compare.judges.1={use: four}"],
    )  # fmt: skip
    assert recipe.seed == 7
    assert recipe.stages[1].trainer == {"use": "t", "epochs": 3}
    assert recipe.stages[0].judges == ("two", {"use": "four"})
    assert recipe.prompts.path == "a.jsonl"
    assert recipe.prompts.limit == 5
    assert recipe.policy == {"use": "chat", "model": "tiny"}


def test_overrides_leave_the_given_settings_alone() -> None:
    settings = {"stages": STAGES}
    Recipe.of(settings, ["stages.sft.trainer.epochs=9"])
    assert settings["stages"][1]["trainer"]["epochs"] == 1


@pytest.mark.parametrize(
    ("override", "says"),
    [
        ("seed", "write it as a.b=value"),
        ("stages.stf.model=x", "there is no 'stf'"),
        ("stages.compar.samples=2", "there is no 'compar'; did you mean 'compare'?"),
        ("stages.9.samples=2", r"there is no '9'\n  cause        known: compare, .*the numbers 0 to 1$"),
        ("stages.compare.judges.1.use=x", r"there is no '1'\n  cause        known: the number 0$"),
        ("seed=[", "not valid YAML"),
    ],
)
def test_a_wrong_override_says_what_is_wrong(override: str, says: str) -> None:
    with pytest.raises(UsageError, match=says.replace("[", r"\[")):
        Recipe.of({"stages": STAGES}, [override])


def test_all_faults_are_listed_at_once_with_the_stage_and_the_near_miss() -> None:
    stages = [
        {"stage": "compare", "judges": ["one"], "sampels": 4, "orders": "all"},
        {"stage": "revise", "rounds": 0},
        {"stage": "trane"},
        {"stage": "train", "trainer": "ppo", "held_out": {"prompts": "p.jsonl", "scorer": []}},
    ]
    with pytest.raises(UsageError) as caught:
        Recipe.of({"stages": stages, "sede": 1, "name": "a/b", "budget": {"usdd": 1}})
    text = str(caught.value)
    for part in (
        "8 faults",
        "stages.compare.sampels: unknown option; did you mean 'samples'?",
        "stages.compare.orders",
        "stages.revise.rounds",
        "stages.trane: unknown stage 'trane'; did you mean 'train'? (known: best_of, compare, ",
        "stages.train.held_out.scorer: unknown option; did you mean 'scorers'? (known: prompts, scorers)",
        "recipe.budget.usdd: unknown option; did you mean 'usd'? (known: tokens, usd)",
        "recipe.sede: unknown option; did you mean 'seed'?",
        "recipe.name",
    ):
        assert part in text


@pytest.mark.parametrize(
    ("stage", "fault"),
    [
        (
            {"stge": "compare", "judges": ["one"]},
            "stages.0.stage: required, but not given; did you mean 'stge'?",
        ),
        ({"foo": "compare", "samples": 2}, "stages.0.stage: required, but not given"),
        ({"rounds": 2}, "stages.0.stages: required, but not given"),
        (
            {"stage": "compare", "judges": "one"},
            "stages.compare.judges: Input should be a list; write [one] (given: 'one')",
        ),
        (
            {"stage": "compare", "judges": [["one"]]},
            "stages.compare.judges.0: Input should be a valid string or a mapping (given: ['one'])",
        ),
        (
            {"stage": "train", "trainer": "t", "held_out": "dev.jsonl"},
            "stages.train.held_out: Input should be a mapping; write {prompts: dev.jsonl} "
            "(given: 'dev.jsonl')",
        ),
        (
            {"stage": "revise", "name": "a b/c"},
            "stages.a b/c.name: a name has only letters, digits, '_', '-' and '.', and does not begin with "
            "'-' or '.' (given: 'a b/c')",
        ),
    ],
)
def test_one_mistake_is_one_fault(stage: dict[str, object], fault: str) -> None:
    with pytest.raises(UsageError) as caught:
        Recipe.of({"stages": [stage]})
    assert caught.value.faults == (fault,)


@pytest.mark.parametrize("name", ["a b/c", ".a", "-a", ""])
def test_a_recipe_is_called_as_a_folder_can_be(name: str) -> None:
    with pytest.raises(UsageError, match=r"recipe\.name: a name has only letters, digits"):
        Recipe.of({"name": name, "stages": STAGES})
    assert Recipe.of({"name": "ä_1.b-c", "stages": STAGES}).name == "ä_1.b-c"


def test_stages_with_one_name_are_refused() -> None:
    with pytest.raises(UsageError, match="used twice: compare"):
        Recipe.of({"stages": [STAGES[0], STAGES[0]]})


@pytest.mark.parametrize("content", [None, "stages: [", "- a list", "\x00\xff"])
def test_a_file_that_is_no_recipe_is_a_usage_error(content: str | None, tmp_path: Path) -> None:
    path = tmp_path / "r.yaml"
    if content is not None:
        path.write_text(content)
    with pytest.raises(UsageError, match=r"r\.yaml"):
        Recipe.load(path)


def test_a_recipe_that_is_not_there_may_be_another_file_of_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "recipe.yaml").touch()
    (tmp_path / "unlike.yml").touch()
    with pytest.raises(UsageError) as caught:
        Recipe.load(tmp_path / "recipe.yml")
    assert caught.value.hint == f"did you mean '{tmp_path / 'recipe.yaml'}'?"
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UsageError) as caught:
        Recipe.load("other/recipe.yml")
    assert caught.value.hint == f"a relative path is taken from the working directory, {tmp_path}"


def test_environment_variables_are_put_in_at_the_moment_of_use(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("JURIST_TEST_WORD", "said")
    monkeypatch.delenv("JURIST_TEST_NONE", raising=False)
    assert expand("${JURIST_TEST_WORD}/x$") == "said/x$"
    with pytest.raises(UsageError, match="JURIST_TEST_NONE is not set"):
        expand("${JURIST_TEST_NONE}")


def test_package_paths_point_into_installed_packages() -> None:
    assert resolve_path("package:jurist/py.typed").is_file()
    with pytest.raises(UsageError, match="pip install no-such"):
        resolve_path("package:no_such/file")
    with pytest.raises(UsageError, match="no installed package 'jursit'") as caught:
        resolve_path("package:jursit/py.typed")
    assert caught.value.hint == "did you mean 'jurist'?"


def test_what_people_cost_can_be_said_and_is_checked() -> None:
    human = Recipe.of({"stages": STAGES, "human": {"minutes_per_item": 5}}).human
    assert (human.usd_per_hour, human.minutes_per_item, human.check) == (30, 5, 0.1)
    with pytest.raises(UsageError, match=r"2 faults(.|\n)*human\.usd_per_hour(.|\n)*human\.check"):
        Recipe.of({"stages": STAGES, "human": {"usd_per_hour": -1, "check": 1.5}})
