"""Rounds: what a block of stages stands for, what its names mean, and that a run carries it out."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml

from jurist.chat import ChatReply, ChatRequest
from jurist.contracts import ChatModel
from jurist.errors import UsageError
from jurist.events import Events
from jurist.options import Options
from jurist.recipe import Recipe
from jurist.records import Prompt, Usage
from jurist.rounds import REFERENCES
from jurist.run import run
from jurist.run_directory import Run
from jurist.stage_settings import SETTINGS, Reference
from jurist.stages import STAGES
from jurist.testing.fakes import MemoryTrainer

Write = Callable[..., str]
Rows = Callable[[Path], list[Any]]

COMPARE = {"stage": "compare", "judges": [{"use": "constant", "preference": 0.8}], "orders": "one"}
DPO = {"stage": "train", "name": "dpo", "trainer": "pairs"}
POLICY = {"use": "named", "model": "start"}
EVALUATE = {"stage": "evaluate", "scorers": ["length"], "policies": {"last": "dpo", "base": "base"}}


def block(*stages: dict[str, Any], rounds: Any = 2, **settings: Any) -> dict[str, Any]:
    return {"rounds": rounds, "stages": list(stages), **settings}


def faults(*stages: Any, **settings: Any) -> str:
    with pytest.raises(UsageError) as caught:
        Recipe.of({"stages": stages, **settings})
    return str(caught.value)


def test_a_block_stands_for_its_stages_as_often_as_it_says() -> None:
    recipe = Recipe.of({"stages": [{"stage": "revise"}, block(COMPARE, DPO), EVALUATE]})
    names = [stage.name for stage in recipe.stages]
    assert names == ["revise", "compare-1", "dpo-1", "compare-2", "dpo-2", "evaluate"]
    assert recipe.stages[1].model_copy(update={"name": "compare-2"}) == recipe.stages[3]


def test_names_mean_the_newest_run_of_a_stage() -> None:
    first = {**COMPARE, "name": "first"}
    reward = {"stage": "train", "name": "reward", "trainer": "r", "model": "base", "data": "first"}
    second = {
        **COMPARE,
        "name": "second",
        "judges": ["other", {"use": "first"}],
        "generator": "policy",
        "critic": "policy",
    }
    policy = {
        "stage": "train",
        "name": "ppo",
        "trainer": "p",
        "model": "policy",
        "data": "second",
        "reward_model": ["reward", "reward_model"],
        "held_out": {"prompts": "reward", "scorers": ["reward", "length"]},
    }
    after = {
        "stage": "evaluate",
        "scorers": ["reward", "length"],
        "policies": {"ppo": "ppo", "early": "ppo-1", "start": {"use": "ppo"}},
        "kl_to": "ppo",
    }
    # In the second round `again` has the policy of the first: it stands before it in the block.
    again = {"stage": "evaluate", "name": "again", "scorers": ["s"], "policies": {"old": "policy"}}
    recipe = Recipe.of({"stages": [block(again, first, reward, second, policy, rounds=3), after]})
    by_name = {stage.name: stage for stage in recipe.stages}
    assert by_name["reward-2"].data == "first-2"
    assert by_name["reward-2"].model == "base"
    assert by_name["second-3"].judges == ("other", {"use": "first"})
    assert by_name["ppo-3"].reward_model == ("reward-3", "reward_model")
    assert by_name["ppo-3"].held_out.scorers == ("reward-3", "length")
    assert by_name["ppo-3"].held_out.prompts == "reward"
    assert by_name["ppo-1"].data == "second-1"
    assert by_name["evaluate"].policies == {"ppo": "ppo-3", "early": "ppo-1", "start": {"use": "ppo"}}
    assert by_name["evaluate"].scorers == ("reward-3", "length")
    assert by_name["evaluate"].kl_to == "ppo"


def test_what_comes_later_in_the_block_is_that_of_the_round_before() -> None:
    start = {"stage": "train", "name": "sft", "trainer": "t"}
    stages = [
        {"stage": "evaluate", "scorers": ["s"], "policies": {"sft": "sft", "dpo": "dpo"}},
        {**DPO, "model": "dpo"},
    ]
    text = faults(start, block(*stages))
    assert "2 faults" in text
    instead = "in the first round there is no 'dpo' yet; write 'policy' for the newest, or 'base' for the"
    assert f"stages.evaluate.policies.dpo: {instead}" in text
    assert f"stages.dpo.model: {instead}" in text
    data = {**DPO, "data": "compare"}
    assert "no 'compare' yet; write 'preferences' for the newest" in faults(block(data, COMPARE))
    judged = {**COMPARE, "judges": ["small", "labeler-0"]}
    small = {"stage": "train", "name": "small", "trainer": "t"}
    assert "stages.compare.judges.0: in the first round there is no 'small' yet; write 'labeler'" in faults(
        block(judged, small)
    )


def test_after_an_earlier_block_its_names_mean_its_last_round() -> None:
    first, second = block(DPO, rounds=2), block({**COMPARE, "generator": "dpo"}, rounds=1)
    assert Recipe.of({"stages": [first, second]}).stages[2].generator == "dpo-2"


def test_settings_that_name_what_other_stages_make_are_all_known() -> None:
    """A new setting that takes an artifact has to be added to REFERENCES."""
    found = {
        name
        for settings in SETTINGS.values()
        for name, field in settings.model_fields.items()
        if _takes_a_reference(field.annotation)
    }
    assert found - {"trainer"} | {"data", "reward_model"} == REFERENCES


def _takes_a_reference(annotation: Any) -> bool:
    if isinstance(annotation, type) and issubclass(annotation, Options):
        return any(_takes_a_reference(field.annotation) for field in annotation.model_fields.values())
    inside = get_args(annotation)
    return set(get_args(Reference)) <= set(inside) or any(map(_takes_a_reference, inside))


def test_the_recipe_that_a_run_stores_loads_to_the_same_recipe() -> None:
    recipe = Recipe.of({"prompts": "p.jsonl", "stages": [block(COMPARE, DPO, split=True), EVALUATE]})
    assert Recipe.of(yaml.safe_load(yaml.safe_dump(recipe.model_dump(mode="json")))) == recipe


def test_overrides_reach_a_block_by_number_and_its_stages_by_their_names() -> None:
    settings = {"stages": [{"stage": "revise", "rounds": 4}, block(COMPARE, DPO)]}
    recipe = Recipe.of(
        settings, ["stages.1.rounds=3", "stages.compare.samples=6", "stages.1.stages.dpo.trainer.epochs=2",
                   "stages.dpo.trainer.lr=1"],
    )  # fmt: skip
    assert [stage.name for stage in recipe.stages][-2:] == ["compare-3", "dpo-3"]
    assert [stage.samples for stage in recipe.stages if stage.stage == "compare"] == [6, 6, 6]
    assert recipe.stages[-1].trainer == {"use": "pairs", "epochs": 2, "lr": 1}
    assert settings["stages"][1] == block(COMPARE, DPO)  # the given settings are left alone
    with pytest.raises(UsageError, match=r"no 'compare-1'(.|\n)*known: revise, compare, dpo"):
        Recipe.of(settings, ["stages.compare-1.samples=2"])


def test_faults_are_told_once_and_where_they_are_written() -> None:
    text = faults(
        block({**COMPARE, "sampels": 4}, {"stage": "trane"}, rounds=0, roundz=1),
        {"stage": "revise", "rounds": 0},
    )
    assert "5 faults" in text
    for part in (
        "stages.0.rounds: Input should be greater than or equal to 1",
        "stages.0.roundz: unknown option; did you mean 'rounds'?",
        "stages.compare.sampels: unknown option; did you mean 'samples'?",
        "stages.trane: unknown stage 'trane'; did you mean 'train'?",
        "stages.revise.rounds: Input",
    ):
        assert part in text
    assert "stages.1.stages: required" in faults(COMPARE, {"rounds": 2})
    assert "stages.0.stages: rounds inside of rounds" in faults(block(block(COMPARE)))


def test_names_of_a_block_differ_from_all_others() -> None:
    assert "stages.compare: another stage, or an artifact" in faults(COMPARE, block(COMPARE))
    assert "stages.policy: another stage, or an artifact" in faults(block({**DPO, "name": "policy"}))
    assert "used twice: compare-1" in faults(block(COMPARE), {**COMPARE, "name": "compare-1"})
    assert "used twice: compare-1, compare-2" in faults(block(COMPARE, COMPARE))


@pytest.mark.parametrize("of_all", [None, [1, 2], [2, 2]])
def test_rounds_can_divide_the_prompts_among_themselves(of_all: list[int] | None, write_rows: Write) -> None:
    prompts = {"path": write_rows(*(f"p{n}" for n in range(120))), "part": of_all}
    held_out = {"stage": "evaluate", "scorers": ["length"], "prompts": "held-out.jsonl"}
    recipe = Recipe.of({"prompts": prompts, "stages": [COMPARE, block(DPO, held_out, rounds=3, split=True)]})
    whole, *parts = [
        {prompt.id for prompt in STAGES["compare"](settings, recipe).prompts()}
        for settings in recipe.stages
        if settings.stage != "evaluate"
    ]
    assert len(parts) == 3
    assert set.union(*parts) == whole <= {Prompt.of(f"p{n}").id for n in range(120)}
    assert sum(map(len, parts)) == len(whole)
    assert len(whole) == 120 or 40 < len(whole) < 80
    assert min(map(len, parts)) > len(whole) / 6  # a third, on average
    assert [s.prompts for s in recipe.stages if s.stage == "evaluate"] == ["held-out.jsonl"] * 3


def test_without_prompts_there_is_nothing_to_divide() -> None:
    text = faults(block(COMPARE, split=True))
    assert "1 fault" in text
    assert "stages.0.split: needs prompts to divide; set 'prompts:' in the recipe" in text
    wrong = faults(block(COMPARE, split=True), prompts={"path": "p", "part": "half"})
    assert "split" not in wrong
    assert "recipe.prompts.part: Input should be a list" in wrong


@pytest.mark.parametrize("part", [[0, 2], [3, 2], [-1, -1]])
def test_a_part_is_one_of_so_many(part: list[int]) -> None:
    with pytest.raises(UsageError, match=r"second of five parts"):
        Recipe.of({"prompts": {"path": "p", "part": part}, "stages": [COMPARE]})


class PathOptions(Options):
    model: str = "start"


class NamedModel(ChatModel):
    """Says which checkpoint it has, and with which seed it was asked."""

    Options = PathOptions
    options: PathOptions

    async def complete(self, request: ChatRequest) -> ChatReply:
        text = f"{'/'.join(Path(self.options.model).parts[-2:])} {request.sampling.seed}"
        return ChatReply(text=text, usage=Usage(completion_tokens=1))


class PairsTrainer(MemoryTrainer):
    """Learns preferences by heart."""

    consumes = "preferences"


class Halting(Events):
    """Ends the run before a stage, as if it were killed; keeps which stages began."""

    def __init__(self, at: str = "") -> None:
        super().__init__()
        self.at = at
        self.began: list[str] = []

    def stage_started(self, stage: str, total: int | None) -> None:
        if stage == self.at:
            raise KeyboardInterrupt
        self.began.append(stage)


@pytest.fixture
def carry_out(source: Any, write_rows: Write, tmp_path: Path) -> Callable[..., Run]:
    """Runs an iterated recipe in the same folder."""
    source.offer("chat_model", "named", f"{__name__}:NamedModel")
    source.offer("trainer", "pairs", f"{__name__}:PairsTrainer")
    prompts = write_rows("p", "q")

    def carry_out(rounds: int = 2, events: Events | None = None) -> Run:
        constitution = {"name": "tiny", "principles": [{"name": "clean", "description": "x"}]}
        stages = [block(COMPARE, DPO, rounds=rounds), EVALUATE]
        settings = {"prompts": prompts, "policy": POLICY, "constitution": constitution, "stages": stages}
        return run(Recipe.of(settings), tmp_path / "run", source, events=events, in_process=True)

    return carry_out


def test_every_round_samples_and_trains_the_policy_of_the_round_before(
    carry_out: Callable[..., Run], rows: Rows
) -> None:
    done = carry_out()
    folders = [stage.folder for stage in done.stages]
    assert [f.name for f in folders] == [
        "01-compare-1", "02-dpo-1", "03-compare-2", "04-dpo-2", "05-evaluate",
    ]  # fmt: skip
    first, second = (rows(folders[n] / "judgments.jsonl") for n in (0, 2))
    said = [
        {row["comparison"]["response_a"]["text"].split()[0] for row in found} for found in (first, second)
    ]
    assert said == [{"start"}, {"02-dpo-1/model"}]
    seeds = [
        {row["comparison"]["response_a"]["text"].split()[1] for row in found} for found in (first, second)
    ]
    assert not seeds[0] & seeds[1]  # other random numbers in every round
    memories = [json.loads((folders[n] / "model/memory.json").read_text()) for n in (1, 3)]
    assert memories[0]["model"] == "start"
    assert memories[1]["model"] == str(folders[1] / "model")
    assert memories[1]["data"] == rows(folders[2] / "preferences.jsonl")
    answers = {row["policy"]: row["response"]["text"] for row in rows(folders[4] / "responses.jsonl")}
    assert answers["last"].startswith("04-dpo-2/model")
    assert answers["base"].startswith("start")


def test_a_run_that_ends_between_rounds_goes_on_with_the_next(carry_out: Callable[..., Run]) -> None:
    with pytest.raises(KeyboardInterrupt):
        carry_out(events=Halting(at="compare-2"))
    log = Halting()
    done = carry_out(events=log)
    assert [stage.skipped for stage in done.stages] == [True, True, False, False, False]
    assert log.began == ["compare-2", "dpo-2", "evaluate"]


def test_one_round_more_is_all_that_is_done_when_there_are_more(carry_out: Callable[..., Run]) -> None:
    carry_out(rounds=2)
    log = Halting()
    done = carry_out(rounds=3, events=log)
    assert log.began == ["compare-3", "dpo-3", "evaluate"]
    assert [stage.skipped for stage in done.stages] == [True] * 4 + [False] * 3
