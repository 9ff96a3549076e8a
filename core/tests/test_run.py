"""Runs: the four stages with fakes, continuing, stopping, and refusing what cannot work."""

from __future__ import annotations

import asyncio
import json
import os
import re
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pluggy
import pytest
import yaml
from pydantic import SecretStr

from jurist import hookimpl, hookspecs
from jurist.chat import ChatReply, ChatRequest, Sampling
from jurist.contracts import ChatModel, Generator, Trainer
from jurist.errors import BudgetStop, ProviderError, UsageError
from jurist.events import Events
from jurist.options import Operational, Options
from jurist.prices import Price
from jurist.recipe import Recipe
from jurist.records import Judgment, Prompt, Response
from jurist.run import execute, run
from jurist.run_directory import Run
from jurist.testing import ConstantJudge, EchoGenerator, LengthScorer, MemoryTrainer
from jurist.train_jobs import Artifact

Write = Callable[..., str]
Rows = Callable[[Path], list[Any]]

PRINCIPLES = {
    "name": "tiny",
    "principles": [
        {"name": "clean", "description": "Say nothing bad."},
        {"name": "short", "description": "Be brief.", "hard": True, "checks": [{"max_length": 12}]},
    ],
}
REVISE = {"stage": "revise", "generator": "echo", "critic": "rules", "reviser": "append", "rounds": 2}
COMPARE = {
    "stage": "compare",
    "samples": 2,
    "generator": {"use": "chat", "replies": ["one", "two", "three"]},
    "judges": [{"use": "constant", "preference": 0.8}],
    "orders": "one",
}
TRAIN = {"stage": "train", "trainer": "memory"}
EVALUATE = {"stage": "evaluate", "scorers": ["length"], "policies": {"chat": "policy"}}


def recipe(prompts: str, *stages: dict[str, Any], **settings: Any) -> Recipe:
    policy = {"use": "chat", "replies": ["alpha", "beta"]}
    return Recipe.of(
        {"prompts": prompts, "constitution": PRINCIPLES, "policy": policy, "stages": stages, **settings}
    )


def test_revise_stops_when_satisfied_and_keeps_the_last_text(
    source: Any, write_rows: Write, rows: Rows, tmp_path: Path
) -> None:
    done = run(recipe(write_rows("bad", "fine"), REVISE), tmp_path / "run", source)
    folder = done.stages[0].folder
    bad, fine = rows(folder / "trajectories.jsonl")
    assert [step["revision"]["text"] for step in bad["steps"]] == ["bad (revised)", "bad (revised) (revised)"]
    assert bad["ended"] == "rounds"
    assert fine["ended"] == "satisfied"
    assert fine["steps"][0]["revision"] is None
    kept = [(row["completion"][0]["content"], row["round"]) for row in rows(folder / "revisions.jsonl")]
    assert kept == [("bad (revised) (revised)", 2), ("fine", 0)]
    summary = done.stages[0].summary
    assert summary["ended"] == {"rounds": 1, "satisfied": 1}
    assert summary["violations_by_round"][1] == {"clean": 1, "short": 1}


@pytest.mark.parametrize(("keep", "kept"), [("all", [1, 2]), (1, [1]), ("final", [2])])
def test_keep_says_which_revisions_are_learnt(
    keep: Any, kept: list[int], source: Any, write_rows: Write, rows: Rows, tmp_path: Path
) -> None:
    done = run(recipe(write_rows("bad"), {**REVISE, "keep": keep}), tmp_path / "run", source)
    assert [row["round"] for row in rows(done.stages[0].folder / "revisions.jsonl")] == kept


def test_the_papers_form_samples_one_principle_a_round_and_runs_all_rounds(
    source: Any, write_rows: Write, rows: Rows, tmp_path: Path
) -> None:
    prompts = write_rows(*(f"bad {n}" for n in range(40)))
    stage = {**REVISE, "principles": "sampled", "rounds": 3}
    done = run(recipe(prompts, stage), tmp_path / "run", source)
    trajectories = rows(done.stages[0].folder / "trajectories.jsonl")
    assert all(len(t["steps"]) == 3 and t["ended"] == "rounds" for t in trajectories)
    drawn = Counter(name for t in trajectories for step in t["steps"] for name in step["principles"])
    assert all(len(step["principles"]) == 1 for t in trajectories for step in t["steps"])
    assert min(drawn["clean"], drawn["short"]) > 30  # of 120, each with probability one half


def test_compare_labels_pairs_with_probability_and_sets_the_rest_aside_with_the_reason(
    source: Any, write_rows: Write, rows: Rows, tmp_path: Path
) -> None:
    done = run(recipe(write_rows("p", "q"), COMPARE), tmp_path / "run", source)
    folder = done.stages[0].folder
    preferences = rows(folder / "preferences.jsonl")
    assert {row["probability"] for row in preferences} == {0.8}
    assert preferences[0]["chosen"][0]["role"] == "assistant"
    unsure = {**COMPARE, "aggregate": [{"use": "confidence", "threshold": 0.9}]}
    done = run(recipe(write_rows("p", "q"), unsure), tmp_path / "unsure", source)
    assert rows(done.stages[0].folder / "preferences.jsonl") == []
    assert {row["reason"] for row in rows(done.stages[0].folder / "set_aside.jsonl")} == {"low_confidence"}


def test_a_judge_of_positions_cancels_itself_out_in_both_orders(
    source: Any, write_rows: Write, tmp_path: Path
) -> None:
    done = run(recipe(write_rows("p"), {**COMPARE, "orders": "both"}), tmp_path / "run", source)
    summary = done.stages[0].summary
    assert summary["decisions"] == {"tie": 1}
    assert summary["judges"]["constant"]["flips"] == 1
    assert summary["judges"]["constant"]["asked"] == 2


def test_failures_and_abstentions_are_counted_and_never_become_labels(
    source: Any, write_rows: Write, rows: Rows, tmp_path: Path
) -> None:
    judges = ["silent", {"use": "flaky", "every": 1, "retryable": False}]
    done = run(recipe(write_rows("p", "q"), {**COMPARE, "judges": judges}), tmp_path / "run", source)
    assert rows(done.stages[0].folder / "preferences.jsonl") == []
    assert done.stages[0].summary["decisions"] == {"no_votes": 2}
    judges = done.stages[0].summary["judges"]
    assert (judges["silent"]["abstentions"], judges["flaky"]["failures"]) == (2, 2)


def test_the_hard_filter_decides_before_any_judge_is_asked(
    source: Any, write_rows: Write, rows: Rows, tmp_path: Path
) -> None:
    pairs = write_rows(
        {"prompt": "q", "response_a": "far too long for this", "response_b": "short"},
        {"prompt": "q", "response_a": "far too long for this", "response_b": "this is too long also"},
        {"prompt": "q", "response_a": "brief", "response_b": "short"},
        name="pairs.jsonl",
    )
    stage = {**COMPARE, "pairs": pairs, "aggregate": ["constitution-filter", "majority"]}
    done = run(recipe(write_rows("unused"), stage), tmp_path / "run", source)
    first, both, none = rows(done.stages[0].folder / "judgments.jsonl")
    assert (first["decision"]["probability"], first["outcomes"]) == (0.0, [])
    assert (both["decision"]["status"], both["decision"]["reason"]) == ("set_aside", "filtered")
    assert (none["decision"]["probability"], len(none["outcomes"])) == (0.8, 1)
    assert done.totals["constant"]["calls"] == 1


def test_stages_hand_on_what_they_make(source: Any, write_rows: Write, rows: Rows, tmp_path: Path) -> None:
    stages = (
        REVISE,
        {**TRAIN, "model": {"use": "chat", "model": "start"}},
        EVALUATE,
    )
    source.offer("chat_model", "chat", f"{__name__}:ModelWithPath")
    done = run(recipe(write_rows("bad"), *stages, policy="chat"), tmp_path / "run", source, in_process=True)
    memory = json.loads((tmp_path / "run/stages/02-train/model/memory.json").read_text())
    assert memory["model"] == "start"
    assert memory["data"][0]["completion"][0]["content"] == "bad (revised) (revised)"
    (evaluated,) = rows(done.stages[2].folder / "responses.jsonl")
    assert evaluated["response"]["text"].endswith("02-train/model says hello")


def test_evaluation_gives_means_with_intervals(source: Any, write_rows: Write, tmp_path: Path) -> None:
    done = run(recipe(write_rows("p", "q"), EVALUATE), tmp_path / "run", source)
    metrics = done.stages[0].summary["policies"]["chat"]
    assert metrics["length.value"]["mean"] == 4.5  # "alpha", "beta"
    assert metrics["length.words"]["n"] == 2
    assert done.stages[0].summary["outcomes"]["chat"] == {"response": 2, "length: score": 2}


def test_a_second_run_asks_nothing_and_skips_finished_stages(
    source: Any, write_rows: Write, tmp_path: Path
) -> None:
    wanted = recipe(write_rows("p", "q"), COMPARE)
    first = run(wanted, tmp_path / "run", source)
    log = Recorder()
    second = run(wanted, tmp_path / "run", source, events=log)
    assert [stage.skipped for stage in second.stages] == [True]
    assert log.calls == []
    assert second.totals == first.totals


def test_a_changed_setting_runs_the_stage_again_from_the_ledger_and_keeps_the_old_folder(
    source: Any, write_rows: Write, tmp_path: Path
) -> None:
    run(recipe(write_rows("p", "q"), COMPARE), tmp_path / "run", source)
    log = Recorder()
    changed = {**COMPARE, "aggregate": [{"use": "confidence", "threshold": 0.7}]}
    done = run(recipe(write_rows("p", "q"), changed), tmp_path / "run", source, events=log)
    assert not done.stages[0].skipped
    assert len(log.calls) == 6  # two samples of two prompts, two judgments
    assert all(replayed for _, replayed in log.calls)
    folder, moved = sorted((tmp_path / "run/stages").iterdir())
    assert [each for each in log.notices if each[0] == "compare"] == [
        ("compare", f"what other settings or inputs made is kept in {moved}, and comes back with these")
    ]

    back = run(recipe(write_rows("p", "q"), COMPARE), tmp_path / "run", source)
    assert back.stages[0].skipped, "what the first settings made was moved back"
    assert back.stages[0].folder == folder
    again = run(recipe(write_rows("p", "q"), changed), tmp_path / "run", source)
    assert again.stages[0].skipped
    assert len(list((tmp_path / "run/stages").iterdir())) == 2


def test_changed_prompts_and_changed_files_of_components_run_the_stage_again(
    source: Any, write_rows: Write, tmp_path: Path
) -> None:
    run(recipe(write_rows("p"), COMPARE), tmp_path / "run", source)
    done = run(recipe(write_rows("p", "q"), COMPARE), tmp_path / "run", source)
    assert (done.stages[0].skipped, done.stages[0].summary["comparisons"]) == (False, 2)


def test_a_moved_run_directory_still_works(source: Any, write_rows: Write, tmp_path: Path) -> None:
    wanted = recipe(write_rows("bad"), REVISE, {**TRAIN, "model": {"use": "chat", "model": "x"}})
    source.offer("chat_model", "chat", f"{__name__}:ModelWithPath")
    wanted = wanted.model_copy(update={"policy": "chat"})
    run(wanted, tmp_path / "old", source, in_process=True)
    (tmp_path / "old").rename(tmp_path / "new")
    done = run(wanted, tmp_path / "new", source, in_process=True)
    assert [stage.skipped for stage in done.stages] == [True, True]
    assert done.artifacts.get("policy", "").path == tmp_path / "new/stages/02-train/model"


def test_the_budget_stops_a_run_and_a_higher_one_continues_it(
    source: Any, write_rows: Write, tmp_path: Path
) -> None:
    wanted = recipe(write_rows(*(f"p{n}" for n in range(30))), COMPARE)
    with pytest.raises(BudgetStop):
        run(wanted, tmp_path / "run", source, max_usd=0.0001)
    state = json.loads((tmp_path / "run/run.json").read_text())
    spent = sum(total["usd"] for total in state["totals"].values())
    assert state["status"] == "budget"
    assert 0.00005 < spent <= 0.0001
    log = Recorder()
    done = run(wanted, tmp_path / "run", source, events=log, max_usd=1)
    assert done.stages[0].summary["comparisons"] == 30
    assert sum(replayed for _, replayed in log.calls) == sum(
        total["calls"] for total in state["totals"].values()
    )


def test_all_faults_are_found_before_anything_is_spent(
    source: Any, write_rows: Write, tmp_path: Path
) -> None:
    stages = (
        {**COMPARE, "judges": ["constnat", {"use": "flaky", "evry": 2}, "silent", "silent"]},
        {**TRAIN, "data": "preferences", "model": {"use": "chat", "replies": 3}},
        {**REVISE, "name": "late", "prompts": "no/such/file.jsonl"},
        {**EVALUATE, "name": "eval", "policies": {"x": "reward"}, "kl_to": "y"},
    )
    with pytest.raises(UsageError) as caught:
        run(recipe(write_rows("p"), *stages, constitution="nowhere.yaml"), tmp_path / "run", source)
    text = str(caught.value)
    for part in ("constnat", "did you mean 'constant'", "evry", "did you mean 'every'", "2 judges are called",
                 "no/such/file.jsonl", "no generator 'reward'", "kl_to", "nowhere.yaml"):  # fmt: skip
        assert part in text, part
    assert not (tmp_path / "run").exists()


def test_a_file_that_is_not_there_is_named_with_its_setting_and_the_near_one(
    source: Any, write_rows: Write, tmp_path: Path
) -> None:
    prompts = Path(write_rows("p"))
    absent = prompts.with_name(f"{prompts.stem}s.jsonl")
    stages = (
        REVISE,
        {**REVISE, "name": "own", "prompts": "own.jsonl"},
        {**COMPARE, "pairs": "pairs.jsonl"},
        {**COMPARE, "name": "again"},
    )
    with pytest.raises(UsageError, match="3 faults") as caught:
        run(recipe(str(absent), *stages), tmp_path / "run", source)
    text = str(caught.value)
    near = f"did you mean '{prompts}'?"
    assert re.search(rf"- recipe.prompts: cannot read {absent}\n +cause .*\n +try +{re.escape(near)}\n", text)
    assert "- stages.own.prompts: cannot read own.jsonl" in text
    assert "- stages.compare.pairs: cannot read pairs.jsonl" in text


def test_a_misspelt_artifact_gets_the_near_one_first(source: Any, write_rows: Write, tmp_path: Path) -> None:
    stages = (REVISE, {**TRAIN, "name": "ppo"}, {**EVALUATE, "policies": {"x": "pp0"}})
    with pytest.raises(UsageError, match=r"no generator 'pp0'(.|\n)*try +the artifact 'ppo'; or "):
        run(recipe(write_rows("p"), *stages), tmp_path / "run", source)


class PricedOptions(Options):
    price: Price | None = None


class PricedModel(ChatModel):
    Options = PricedOptions


def test_options_inside_of_options_get_the_near_miss(source: Any, write_rows: Write, tmp_path: Path) -> None:
    source.offer("chat_model", "chat", f"{__name__}:PricedModel")
    policy = {"use": "chat", "price": {"input": 1, "output": 2, "cachd_input": 0.25}}
    with pytest.raises(UsageError, match=r"policy\.price\.cachd_input: unknown option; did you mean 'cached"):
        run(recipe(write_rows("p"), REVISE, policy=policy), tmp_path / "run", source)


class PairTrainer(MemoryTrainer):
    consumes = "preferences"


def test_where_nothing_is_left_to_train_on_it_says_what_became_of_the_pairs(
    source: Any, write_rows: Write, tmp_path: Path
) -> None:
    undecided = {**COMPARE, "judges": [{"use": "constant", "preference": 0.5}]}
    training = {**TRAIN, "data": "preferences", "model": {"use": "local", "model": "start"}}
    source.offer("chat_model", "local", f"{__name__}:ModelWithPath")
    known = recipe(write_rows("p", "q"), undecided, training)
    source.offer("trainer", "memory", f"{__name__}:PairTrainer")
    with pytest.raises(UsageError, match=r"nothing to train on: .*preferences\.jsonl is empty \(2 tie\)\n"):
        run(known, tmp_path / "run", source)


def test_what_follows_from_a_fault_is_not_a_fault_of_its_own(
    source: Any, write_rows: Write, tmp_path: Path
) -> None:
    stages = ({**TRAIN, "trainer": "memroy"}, {**EVALUATE, "policies": {"x": "train"}})
    with pytest.raises(UsageError, match=r"1 fault\n.*memroy"):
        run(recipe(write_rows("p"), REVISE, *stages), tmp_path / "run", source)


def test_a_stage_that_needs_what_nobody_makes_is_refused(
    source: Any, write_rows: Write, tmp_path: Path
) -> None:
    with pytest.raises(UsageError, match="no earlier stage makes 'revisions'"):
        run(recipe(write_rows("p"), TRAIN), tmp_path / "run", source)


@pytest.mark.parametrize(("data", "is_file"), [("h.jsonl", True), ("data/h", True), ("compare", False)])
def test_data_that_may_be_a_file_is_told_how_to_be_one(
    data: str, is_file: bool, source: Any, write_rows: Write, tmp_path: Path
) -> None:
    with pytest.raises(UsageError) as caught:
        run(recipe(write_rows("p"), {**TRAIN, "data": data}), tmp_path / "run", source)
    assert f"no earlier stage makes '{data}'" in str(caught.value)
    hint = f"try          write {{path: {data}}} where it is a file; or put the stage that makes it before"
    assert (hint in str(caught.value)) == is_file


def test_a_secret_written_into_a_recipe_is_refused_and_one_by_name_is_never_stored(
    source: Any, write_rows: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.offer("chat_model", "chat", f"{__name__}:ModelWithKey")
    with pytest.raises(UsageError, match="does not belong in a recipe"):
        run(recipe(write_rows("p"), EVALUATE, policy={"use": "chat", "key": "sk-1"}), tmp_path / "no", source)
    monkeypatch.setenv("TEST_KEY", "sk-very-secret")
    policy = {"use": "chat", "key": "${TEST_KEY}"}
    run(recipe(write_rows("p"), EVALUATE, policy=policy), tmp_path / "run", source)
    for path in (tmp_path / "run").rglob("*"):
        assert path.is_dir() or b"sk-very-secret" not in path.read_bytes(), path
    stored = yaml.safe_load((tmp_path / "run/recipe.yaml").read_text())
    assert stored["policy"]["key"] == "${TEST_KEY}"


def test_a_model_without_its_key_is_found_before_the_first_stage_but_not_where_replies_are_at_hand(
    source: Any, write_rows: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.offer("chat_model", "locked", f"{__name__}:LockedModel")
    asked = recipe(write_rows("p"), COMPARE, EVALUATE, policy="locked")
    with pytest.raises(
        UsageError, match=r"cannot run: 1 fault\n  - stages\.evaluate\..*: no key\."
    ) as caught:
        run(asked, tmp_path / "run", source)
    assert "export LOCKED_KEY=…" in str(caught.value)
    assert not (tmp_path / "run").exists()
    monkeypatch.setenv("LOCKED_KEY", "k")
    run(asked, tmp_path / "run", source)
    monkeypatch.delenv("LOCKED_KEY")
    assert all(stage.skipped for stage in run(asked, tmp_path / "run", source).stages)


def test_the_folder_of_another_recipe_is_refused_and_left_as_it_is(
    source: Any, write_rows: Write, tmp_path: Path
) -> None:
    run(recipe(write_rows("p"), EVALUATE, name="one"), tmp_path / "run", source)
    before = (tmp_path / "run/run.json").read_text()
    with pytest.raises(UsageError, match="a run of recipe 'one' is in it") as caught:
        run(recipe(write_rows("p"), COMPARE, name="two"), tmp_path / "run", source)
    assert "--out DIR" in str(caught.value)
    assert (tmp_path / "run/run.json").read_text() == before
    with pytest.raises(UsageError, match="VARIABLE_OF_NOBODY is not set") as caught:
        run(
            recipe(write_rows("p"), EVALUATE, policy={"use": "chat", "replies": ["${VARIABLE_OF_NOBODY}"]}),
            tmp_path,
            source,
        )
    assert "stages.evaluate.policies.chat" in str(caught.value) or "policy.replies.0: " in str(caught.value)


def test_plugins_of_the_source_follow_the_run(source: Any, write_rows: Write, tmp_path: Path) -> None:
    class Follower:
        @hookimpl
        def jurist_run_finished(self, status: str) -> None:
            seen.append(status)

    seen: list[str] = []
    plugins = pluggy.PluginManager("jurist")
    plugins.add_hookspecs(hookspecs)
    plugins.register(Follower())
    source.hooks = plugins.hook
    run(recipe(write_rows("p"), EVALUATE), tmp_path / "run", source)
    assert seen == ["done"]


def test_prompts_that_the_policy_cannot_take_are_found_before_the_first_call(
    source: Any, write_rows: Write, tmp_path: Path
) -> None:
    source.offer("chat_model", "chat", f"{__name__}:NarrowModel")
    prompts = write_rows("ok", "much too long", "too long as well")
    stages = EVALUATE, {**EVALUATE, "name": "again"}  # what both ask is one fault
    with pytest.raises(UsageError, match="2 faults") as caught:
        run(recipe(prompts, *stages, policy="chat"), tmp_path / "run", source)
    assert "stages.evaluate: too long. Prompt: “too long as well…”" in str(caught.value)


def test_a_setting_with_which_no_prompt_fits_is_one_fault_in_its_place(
    source: Any, write_rows: Write, tmp_path: Path
) -> None:
    source.offer("chat_model", "chat", f"{__name__}:NarrowModel")
    revise = {"stage": "revise", "sampling": {"max_tokens": 4096}}
    with pytest.raises(UsageError) as caught:
        run(recipe(write_rows("a", "b", "c"), revise, policy="chat"), tmp_path / "run", source)
    assert caught.value.faults == (
        "stages.revise.sampling.max_tokens: with 4096 no prompt fits. past the context.",
    )


def test_of_many_prompts_that_do_not_fit_the_first_are_listed_and_the_others_counted(
    source: Any, write_rows: Write, tmp_path: Path
) -> None:
    source.offer("chat_model", "chat", f"{__name__}:NarrowModel")
    prompts = write_rows(*(f"much too long {number}" for number in range(30)))
    with pytest.raises(UsageError, match=r": 30 faults\n(.|\n)*much too long 19…”(.|\n)*… and 10 more"):
        run(recipe(prompts, EVALUATE, policy="chat"), tmp_path / "run", source)


def test_a_folder_that_cannot_be_written_is_a_usage_error(
    source: Any, write_rows: Write, tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot write"):
        run(recipe(write_rows("p"), EVALUATE), tmp_path / "file" / "run", source)


class Recorder(Events):
    """Remembers calls."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[str, bool]] = []
        self.notices: list[tuple[str, str]] = []

    def notice(self, component: str, text: str) -> None:
        self.notices.append((component, text))

    def call(self, component: str, usage: Any, replayed: bool) -> None:
        self.calls.append((component, replayed))

    def run_finished(self, run: Run, status: str) -> None:
        assert status in ("done", "budget")


class PathOptions(Options):
    model: str = "start"


class ModelWithPath(ChatModel):
    """Says which model it is."""

    Options = PathOptions

    async def complete(self, request: ChatRequest) -> ChatReply:
        return ChatReply(text=f"{self.options.model} says hello")


class LockedModel(ModelWithPath):
    """Needs a key of the environment."""

    def check_access(self) -> None:
        if "LOCKED_KEY" not in os.environ:
            raise ProviderError("no key.", fatal=True, hint="export LOCKED_KEY=…")


class KeyOptions(Options):
    key: SecretStr


class ModelWithKey(ModelWithPath):
    """Has a secret."""

    Options = KeyOptions

    async def complete(self, request: ChatRequest) -> ChatReply:
        assert self.options.key.get_secret_value() == "sk-very-secret"
        return ChatReply(text="fine")


class NarrowModel(ModelWithPath):
    """Has a context of two words, and of a thousand tokens for an answer."""

    async def misfit(self, request: ChatRequest) -> str | None:
        if request.sampling.max_tokens > 1000:
            return "past the context."
        return "too long." if len(request.messages[-1].content.split()) > 2 else None


@pytest.mark.parametrize(
    ("principle", "says"),
    [
        ({"name": "soft", "description": "x"}, "no principle with 'hard: true'"),
        ({"name": "firm", "description": "x", "hard": True}, "need a 'critic:'"),
    ],
)
def test_a_filter_without_what_it_filters_by_is_refused(
    principle: dict[str, Any], says: str, source: Any, write_rows: Write, tmp_path: Path
) -> None:
    stage = {**COMPARE, "aggregate": ["constitution-filter", "majority"]}
    constitution = {"name": "tiny", "principles": [principle]}
    wanted = recipe(write_rows("p"), stage).model_copy(update={"constitution": constitution})
    with pytest.raises(UsageError, match=says):
        run(wanted, tmp_path / "run", source)


def test_texts_cut_at_max_tokens_are_not_learnt(
    source: Any, write_rows: Write, rows: Rows, tmp_path: Path
) -> None:
    stage = {**REVISE, "sampling": {"max_tokens": 3}}
    done = run(recipe(write_rows("fine", "fine but cut off"), stage), tmp_path / "run", source)
    kept = rows(done.stages[0].folder / "revisions.jsonl")
    assert [row["completion"][0]["content"] for row in kept] == ["fine"]
    assert done.stages[0].summary["reasons"] == {"cut at max_tokens": 1}


@pytest.mark.parametrize(
    "stage",
    [
        {**COMPARE, "judges": ["broken"]},
        {**REVISE, "generator": "broken"},
        {**EVALUATE, "scorers": ["broken"]},
        {**EVALUATE, "policies": {"x": "broken"}},
    ],
)
def test_a_stage_in_which_every_call_fails_is_not_finished_and_says_why(
    stage: dict[str, Any], source: Any, write_rows: Write, tmp_path: Path
) -> None:
    for kind in ("judge", "generator", "scorer"):
        source.offer(kind, "broken", f"{__name__}:Broken{kind.capitalize()}")
    with pytest.raises(UsageError, match=r"came to nothing: [12] fault(.|\n)*out of order"):
        run(recipe(write_rows("p", "q"), stage), tmp_path / "run", source)
    assert not list((tmp_path / "run/stages").glob("*/summary.json"))


def test_calls_given_up_are_made_again_by_the_same_command(
    source: Any, write_rows: Write, rows: Rows, tmp_path: Path
) -> None:
    source.offer("judge", "moody", f"{__name__}:MoodyJudge")
    stage = {**COMPARE, "judges": [{"use": "moody", "limits": {"attempts": 1}}]}
    wanted = recipe(write_rows("p", "q"), stage)
    first = run(wanted, tmp_path / "run", source)
    assert (first.stages[0].summary["given_up"], first.stages[0].summary["preferences"]) == (1, 1)
    second = run(wanted, tmp_path / "run", source)
    assert (second.stages[0].skipped, second.stages[0].summary["preferences"]) == (False, 2)
    assert run(wanted, tmp_path / "run", source).stages[0].skipped


@pytest.mark.parametrize("change", ["limits", "operational", "secret"])
def test_what_cannot_change_a_result_does_not_repeat_a_stage(
    change: str, source: Any, write_rows: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source.offer("generator", "keyed", f"{__name__}:KeyedGenerator")
    settings: dict[str, Any] = {"use": "keyed", "key": "${TEST_KEY}"}
    monkeypatch.setenv("TEST_KEY", "old")
    stage = {**COMPARE, "generator": settings}
    prompts = write_rows("p")
    run(recipe(prompts, stage), tmp_path / "run", source)
    settings |= {"limits": {"limits": {"concurrency": 2}}, "operational": {"chunk": 9}}.get(change, {})
    monkeypatch.setenv("TEST_KEY", "new")
    assert run(recipe(prompts, stage), tmp_path / "run", source).stages[0].skipped
    settings["word"] = "other"
    assert not run(recipe(prompts, stage), tmp_path / "run", source).stages[0].skipped


@pytest.mark.parametrize(
    ("policy", "says"),
    [
        ("echoing", "has no 'model' to train"),
        ({"use": "adapted", "model": "m", "adapter": "x"}, "option 'adapter'"),
    ],
)
def test_a_policy_that_cannot_be_trained_as_it_stands_is_refused(
    policy: Any, says: str, source: Any, write_rows: Write, tmp_path: Path
) -> None:
    source.offer("chat_model", "echoing", "jurist.testing.fakes:ScriptedChatModel")
    source.offer("chat_model", "adapted", f"{__name__}:AdaptedModel")
    with pytest.raises(UsageError, match=says):
        run(recipe(write_rows("p"), REVISE, TRAIN, policy=policy), tmp_path / "run", source)


def test_the_filter_must_come_first(source: Any, write_rows: Write, tmp_path: Path) -> None:
    stage = {**COMPARE, "aggregate": ["majority", "constitution-filter"]}
    with pytest.raises(UsageError, match=r"must come first: \[constitution-filter, majority\]"):
        run(recipe(write_rows("p"), stage), tmp_path / "run", source)


def test_stages_cannot_take_the_names_of_artifacts_or_leave_their_folder() -> None:
    for name in ("policy", "../evil", "a/b"):
        with pytest.raises(UsageError):
            Recipe.of({"stages": [{**COMPARE, "name": name}]})


def test_samples_of_one_prompt_count_once_in_an_interval(
    source: Any, write_rows: Write, tmp_path: Path
) -> None:
    stage = {**EVALUATE, "samples": 5}
    done = run(recipe(write_rows("p", "q"), stage), tmp_path / "run", source)
    assert done.stages[0].summary["policies"]["chat"]["length.value"]["n"] == 2
    assert done.stages[0].summary["outcomes"]["chat"]["response"] == 10


def test_one_model_in_several_roles_is_one_object_and_every_name_is_metered_for_itself(
    source: Any, write_rows: Write, tmp_path: Path
) -> None:
    CountedModel.made = 0
    source.offer("chat_model", "counted", f"{__name__}:CountedModel")
    judges = [{"use": "counted", "name": "one"}, {"use": "counted", "name": "two", "temperature": 0.5}]
    stage = {**COMPARE, "judges": judges, "generator": {"use": "chat", "replies": ["x", "y"]}}
    done = run(recipe(write_rows("p"), stage), tmp_path / "run", source)
    assert CountedModel.made == 1
    assert {"one", "two"} <= done.totals.keys()


def test_no_model_is_held_while_a_trainer_works(source: Any, write_rows: Write, tmp_path: Path) -> None:
    source.offer("chat_model", "open", f"{__name__}:OpenModel")
    source.offer("trainer", "watching", f"{__name__}:WatchingTrainer")
    policy = {"use": "open", "model": "m"}
    wanted = recipe(write_rows("p"), {**TRAIN, "trainer": "watching"}, policy=policy)
    done = run(wanted, tmp_path / "run", source, in_process=True)
    assert done.stages[0].summary["metrics"] == {"made": 1, "open": 0}


class OpenModel(ModelWithPath):
    made: ClassVar[int] = 0
    open: ClassVar[int] = 0

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        OpenModel.made += 1
        OpenModel.open += 1

    async def misfit(self, request: ChatRequest) -> str | None:
        return None

    async def close(self) -> None:
        OpenModel.open -= 1


class RewardOptions(Options):
    reward: str = "json:dumps"


class WatchingTrainer(Trainer):
    Options = RewardOptions
    consumes = "prompts"
    produces = "policy"

    def train(self, job: Any, progress: Any) -> Artifact:
        return Artifact(
            kind="policy",
            path=job.output / "model",
            metrics={"made": OpenModel.made, "open": OpenModel.open},
        )


class BrokenJudge(ConstantJudge):
    async def judge(self, comparison: Any, principles: Any) -> Any:
        raise ProviderError("out of order")


class BrokenGenerator(EchoGenerator):
    async def generate(self, prompt: Any, sampling: Any) -> Any:
        raise ProviderError("out of order")


class BrokenScorer(LengthScorer):
    async def score(self, prompt: Any, response: Any, principles: Any) -> Any:
        raise ProviderError("out of order")


class MoodyJudge(ConstantJudge):
    """Fails its first call ever."""

    failed: ClassVar[list[bool]] = []

    async def judge(self, comparison: Any, principles: Any) -> Any:
        if not self.failed:
            self.failed.append(True)
            raise ProviderError("not now", retryable=True)
        return Judgment(preference=0.9)


class KeyedOptions(Options):
    key: SecretStr
    word: str = "said"
    chunk: Annotated[int, Operational] = 1


class KeyedGenerator(Generator):
    Options = KeyedOptions

    async def generate(self, prompt: Prompt, sampling: Sampling) -> Response:
        return Response(text=f"{self.options.word} {sampling.seed}")


class AdaptedOptions(PathOptions):
    adapter: str | None = None


class AdaptedModel(ModelWithPath):
    Options = AdaptedOptions
    not_trained = frozenset({"adapter"})


class CountedModel(ModelWithPath):
    made: ClassVar[int] = 0

    def __init__(self, options: Any) -> None:
        super().__init__(options)
        CountedModel.made += 1


async def test_a_run_whose_task_is_cancelled_is_called_interrupted(
    source: Any, write_rows: Write, tmp_path: Path
) -> None:
    ended: list[str] = []

    class Watch(Events):
        def run_started(self, run: Run) -> None:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()  # as asyncio.run does on a Ctrl-C that comes before ours is listened to

        def run_finished(self, run: Run, status: str) -> None:
            ended.append(status)

    wanted = recipe(write_rows("p"), COMPARE)
    with pytest.raises(asyncio.CancelledError):
        await execute(wanted, tmp_path / "run", source, events=Watch())
    assert json.loads((tmp_path / "run/run.json").read_text())["status"] == "interrupted"
    assert ended == ["interrupted"]


def test_the_error_that_ended_a_run_is_not_hidden_by_one_of_its_end(
    source: Any, write_rows: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(run: Run) -> None:
        raise UsageError("cannot write run.json")

    class Full(Events):
        def stage_started(self, stage: str, total: int | None) -> None:
            monkeypatch.setattr("jurist.run.write_state", full)
            raise UsageError("ledger.sqlite could not be written")

    with pytest.raises(UsageError, match="ledger"):
        run(recipe(write_rows("p"), COMPARE), tmp_path / "run", source, events=Full())
