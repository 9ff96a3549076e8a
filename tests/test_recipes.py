"""The recipes in contrib run end to end, with the demo's model and judges put in by overrides alone."""

from __future__ import annotations

import asyncio
import json
import re
import statistics
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jurist.chat import Sampling
from jurist.constitution import Constitution
from jurist.files.prompts import load_prompts
from jurist.preflight import check
from jurist.recipe import Recipe, resolve_path
from jurist.records import Comparison, Critique, Judgment, Prompt, Response
from jurist.roles import ChatGenerator
from jurist.run import run
from jurist.run_directory import Run
from jurist.stage_records import Judged
from jurist.stages.base import Stage
from jurist_calibrate.calibrated import CalibratedJury, CalibratedJuryOptions
from jurist_demo.critic import RuleCritic
from jurist_demo.judges import FriendlyJudge, StrictJudge
from jurist_demo.oracle import Oracle
from jurist_hf.model import TransformersChatModel, TransformersOptions
from jurist_registry.registry import Registry
from jurist_review.funnel import funnel
from jurist_review.reading import read_run

Rows = Callable[[Path], list[Any]]

RECIPES = Path(__file__).parents[1] / "contrib" / "recipes"
MODEL = "package:jurist_demo/model"
PROMPTS = "package:jurist_demo/prompts/train.jsonl"
CONSTITUTION = "package:jurist_demo/constitution.yaml"
TINY = "batch_size: 8, gradient_accumulation_steps: 1, max_steps: 3, learning_rate: 1.0e-3"
SWAPS = {
    "": [
        f'policy={{use: hf, model: "{MODEL}", batch_size: 64}}',
        f'prompts={{path: "{PROMPTS}", limit: 20}}',
        f'constitution="{CONSTITUTION}"',
    ],
    "revise": [
        f'critic={{use: hf, model: "{MODEL}", batch_size: 64, max_tokens: 80, '
        r'template: "critique {principles}\n{prompt} => {response}"}',
        f'reviser={{use: hf, model: "{MODEL}", batch_size: 64, '
        r'template: "revise {critique}\n{prompt} => {response}"}',
        "sampling.max_tokens=48",
    ],
    "validate": ["judges=[demo-strict, demo-friendly]"],
    "sft": [f"trainer={{use: trl-sft, {TINY}, lora: {{rank: 4}}}}"],
    "compare": ["sampling.max_tokens=48", "judges=[demo-strict, demo-friendly]"],
    "reward": [f"trainer={{use: trl-reward, {TINY}}}"],
    "best_of": ["sampling.max_tokens=48", "scorers=[demo-oracle]", "principles=none"],
    "dpo": [f"trainer={{use: trl-dpo, {TINY}}}"],
    "grpo": [
        "trainer.rollouts=2",
        "trainer.batch_size=8",
        "trainer.num_generations=4",
        "trainer.learning_rate=1.0e-3",
        "trainer.max_completion_length=32",
        "scorers=[demo-oracle]",
        "principles=none",
        'held_out.prompts={path: "package:jurist_demo/prompts/test.jsonl", limit: 8}',
        "held_out.scorers=[demo-oracle]",
    ],
    "ppo": [
        "trainer.rollouts=2",
        "trainer.batch_size=8",
        "trainer.learning_rate=1.0e-3",
        "trainer.max_completion_length=32",
    ],
    "evaluate": [
        'prompts={path: "package:jurist_demo/prompts/test.jsonl", limit: 8}',
        "scorers=[demo-oracle]",
        "sampling.max_tokens=48",
    ],
}


def carry_out(path: Path, folder: Path, *more: str) -> Run:
    """Run a recipe with the demo's components in place of the ones it names."""
    stages = {re.sub(r"-\d+$", "", stage.name): stage.stage for stage in Recipe.load(path).stages}
    overrides = list(SWAPS[""])
    for name, kind in stages.items():  # those of a round go by the names that they have in its block
        overrides += [f"stages.{name}.{swap}" for swap in SWAPS["evaluate" if kind == "evaluate" else name]]
    done = run(Recipe.load(path, [*overrides, *more]), folder, Registry.discover())
    assert done.status == "done"
    return done


def folder_of(done: Run, name: str) -> Path:
    (found,) = (stage.folder for stage in done.stages if stage.name == name)
    return found


def checkpoint(done: Run, name: str) -> Path:
    artifact = done.artifacts.get(name, name)
    assert artifact.path is not None
    return artifact.path


def distance(one: Path | str, other: Path | str) -> float:
    """The largest difference between two causal models' weights, each loaded as anybody would."""
    from transformers import AutoModelForCausalLM

    first, second = (AutoModelForCausalLM.from_pretrained(str(path)).state_dict() for path in (one, other))
    assert first.keys() == second.keys()
    return max((first[name].float() - second[name].float()).abs().max().item() for name in first)


def id_of(prompt: dict[str, Any]) -> str:
    return Prompt.model_validate(prompt).id


def comparison_of(preference: dict[str, Any]) -> Comparison:
    """A is the chosen response."""
    chosen, rejected = (Response(text=preference[side][0]["content"]) for side in ("chosen", "rejected"))
    return Comparison(prompt=Prompt(messages=preference["prompt"]), response_a=chosen, response_b=rejected)


def mean_preference(judge: Any, comparison: Comparison) -> float:
    """What a judge thinks of A, averaged over both orders."""
    swapped = comparison.model_copy(
        update={"response_a": comparison.response_b, "response_b": comparison.response_a}
    )
    first, second = (asyncio.run(judge.judge(each, ())) for each in (comparison, swapped))
    assert isinstance(first, Judgment)
    assert isinstance(second, Judgment)
    return (first.preference + 1 - second.preference) / 2


def agrees_with_the_jury(preference: dict[str, Any]) -> None:
    comparison = comparison_of(preference)
    votes = [mean_preference(judge(judge.Options()), comparison) for judge in (StrictJudge, FriendlyJudge)]
    assert min(votes) > 0.5
    assert preference["probability"] == pytest.approx(statistics.mean(votes))


def violated(prompt: list[dict[str, str]], text: str) -> tuple[str, ...]:
    """The hard principles that the demo's rules find violated."""
    hard = Constitution.load(str(resolve_path(CONSTITUTION))).hard
    critique = asyncio.run(RuleCritic().critique(Prompt(messages=prompt), Response(text=text), hard))
    assert isinstance(critique, Critique)
    return critique.violated


def sampled_again(model: Path, stage: Stage, row: dict[str, Any]) -> set[str]:
    """The texts that a checkpoint gives for the prompt of a comparison, with the seeds of the stage."""
    prompt = Prompt.model_validate(row["comparison"]["prompt"])
    chat = TransformersChatModel(TransformersOptions(model=str(model), batch_size=4))

    async def sample() -> set[str]:
        generator = ChatGenerator(chat)
        seeds = [stage.seed(stage.name, prompt.id, index) for index in range(stage.settings.samples)]
        asked = [generator.generate(prompt, Sampling(max_tokens=48, seed=seed)) for seed in seeds]
        found = {outcome.text for outcome in await asyncio.gather(*asked) if isinstance(outcome, Response)}
        await chat.close()
        return found

    return asyncio.run(sample())


@pytest.fixture
def inputs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The files a user would have, where the recipes look for them."""
    monkeypatch.chdir(tmp_path)
    for name in ("prompts", "heldout"):
        tags: list[list[str]] = [["safety-critical"], []]
        lines = [json.dumps({"prompt": f"{name} {n}", "tags": tags[n % 2]}) for n in range(20)]
        Path(f"{name}.jsonl").write_text("\n".join(lines), encoding="utf-8")
    label_some(Path("labelled.jsonl"))


def label_some(path: Path) -> None:
    """Sixty comparisons of the demo's world, labelled as people would."""
    prompts = resolve_path("package:jurist_demo/prompts/test.jsonl").read_text(encoding="utf-8").splitlines()
    lines = []
    for number, row in enumerate([row for row in map(json.loads, prompts) if row["metadata"]["never"]][:60]):
        pair = [row["metadata"]["good"][0], f"Take {row['metadata']['never'][0]}, obviously."]
        first, second = pair if number % 2 else reversed(pair)
        texts = {"prompt": row["messages"], "response_a": first, "response_b": second}
        lines.append(json.dumps({"item": str(number), "label": "BA"[number % 2], **texts}))
    path.write_text("\n".join(lines), encoding="utf-8")


def uncommented(tmp_path: Path) -> Path:
    """cai.yaml with its second part, as its own comment says to do it."""
    first, sign, second = (
        (RECIPES / "cai.yaml").read_text(encoding="utf-8").partition("  # - stage: compare\n")
    )
    lines = [line.replace("  # ", "  ", 1) for line in (sign + second).splitlines()]
    path = tmp_path / "cai.yaml"
    path.write_text(first + "\n".join(lines), encoding="utf-8")
    return path


@pytest.mark.parametrize("name", sorted(path.stem for path in RECIPES.glob("*.yaml")))
@pytest.mark.usefixtures("inputs")
def test_as_written_it_passes_every_check_made_before_a_run(name: str) -> None:
    recipe = Recipe.load(RECIPES / f"{name}.yaml")
    assert recipe.name == name
    assert recipe.budget.usd is not None
    assert check(recipe, Registry.discover()).stages


@pytest.mark.usefixtures("inputs")
def test_the_commented_part_of_cai_passes_them_too(tmp_path: Path) -> None:
    checked = check(Recipe.load(uncommented(tmp_path)), Registry.discover())
    names = [stage.name for stage in checked.stages]
    assert names == ["revise", "sft", "evaluate", "compare", "reward", "ppo"]


@pytest.mark.slow
def test_cai_and_its_second_part_which_repeats_nothing(tmp_path: Path, rows: Rows) -> None:
    folder = tmp_path / "run"
    done = carry_out(RECIPES / "cai.yaml", folder)
    trajectories = rows(folder_of(done, "revise") / "trajectories.jsonl")
    assert len(trajectories) == 20
    revised = [t for t in trajectories if t["steps"] and t["steps"][-1]["revision"]]
    assert revised
    final = {
        id_of(t["prompt"]): [t["response"], *(s["revision"] for s in t["steps"] if s["revision"])][-1]["text"]
        for t in trajectories
        if t["ended"] in ("satisfied", "rounds")
    }
    kept = rows(folder_of(done, "revise") / "revisions.jsonl")
    assert {row["prompt_id"]: row["completion"][0]["content"] for row in kept} == final
    assert distance(resolve_path(MODEL), checkpoint(done, "sft")) > 1e-4
    policies = done.stages[-1].summary["policies"]
    assert policies["cai"]["kl"]["n"] == 8
    assert "kl" not in policies["base"]

    calls = done.totals
    further = carry_out(uncommented(tmp_path), folder)
    assert [stage.skipped for stage in further.stages] == [True] * 3 + [False] * 3
    assert further.totals["hf"]["calls"] - calls["hf"]["calls"] == 20 * 4
    preferences = rows(folder_of(further, "compare") / "preferences.jsonl")
    assert preferences
    assert distance(checkpoint(done, "sft"), checkpoint(further, "ppo")) > 1e-5


@pytest.mark.slow
def test_rlaif(tmp_path: Path, rows: Rows) -> None:
    done = carry_out(RECIPES / "rlaif.yaml", tmp_path / "run")
    preferences = rows(folder_of(done, "compare") / "preferences.jsonl")
    assert preferences
    for preference in preferences:
        agrees_with_the_jury(preference)
    assert len(preferences) + len(rows(folder_of(done, "compare") / "set_aside.jsonl")) == len(
        rows(folder_of(done, "compare") / "judgments.jsonl")
    )
    assert distance(resolve_path(MODEL), checkpoint(done, "ppo")) > 1e-5


@pytest.mark.slow
@pytest.mark.usefixtures("inputs")
def test_calibrated_labels_with_the_jury_that_learnt_from_people(tmp_path: Path, rows: Rows) -> None:
    done = carry_out(RECIPES / "calibrated.yaml", tmp_path / "run")
    told = done.stages[0].summary
    assert (told["subject"], told["recommendation"]) == ("calibrated", "trust")
    assert "cross-validated in 5 folds" in told["reason"]
    jury = CalibratedJury(CalibratedJuryOptions(model=folder_of(done, "validate") / "jury"))
    labelled = {id_of({"messages": row["prompt"]}) for row in rows(Path("labelled.jsonl"))}
    assert jury.learnt_prompts() == labelled
    judged = [Judged.model_validate(row) for row in rows(folder_of(done, "compare") / "judgments.jsonl")]
    assert any(each.outcomes for each in judged)
    for each in judged:
        if each.outcomes:
            own = jury.decide(each.comparison, each.outcomes)
            assert each.decision.probability == own.probability
    preferences = rows(folder_of(done, "compare") / "preferences.jsonl")
    assert {preference["aggregator"] for preference in preferences} == {"calibrated"}
    assert (checkpoint(done, "reward") / "model.safetensors").exists()


@pytest.mark.slow
def test_hybrid_compares_answers_of_the_policy_that_sft_made(tmp_path: Path, rows: Rows) -> None:
    done = carry_out(RECIPES / "hybrid.yaml", tmp_path / "run")
    first = rows(folder_of(done, "compare") / "judgments.jsonl")[0]
    (stage,) = (s for s in check(done.recipe, Registry.discover()).stages if s.name == "compare")
    seen = {first["comparison"][side]["text"] for side in ("response_a", "response_b")}
    assert seen <= sampled_again(checkpoint(done, "sft"), stage, first)
    for preference in rows(folder_of(done, "compare") / "preferences.jsonl"):
        agrees_with_the_jury(preference)
    assert distance(checkpoint(done, "sft"), checkpoint(done, "ppo")) > 1e-5
    assert distance(resolve_path(MODEL), checkpoint(done, "sft")) > 1e-4


@pytest.mark.slow
def test_constrained_never_prefers_what_breaks_a_hard_principle(tmp_path: Path, rows: Rows) -> None:
    done = carry_out(RECIPES / "constrained.yaml", tmp_path / "run", "stages.compare.critic=demo-rules")
    folder = folder_of(done, "compare")
    preferences = rows(folder / "preferences.jsonl")
    by_filter = [p for p in preferences if p["aggregator"] == "constitution-filter"]
    assert by_filter
    for preference in preferences:
        chosen, rejected = (
            violated(preference["prompt"], preference[side][0]["content"]) for side in ("chosen", "rejected")
        )
        assert chosen == ()
        assert bool(rejected) == (preference in by_filter)
        if preference in by_filter:
            assert preference["probability"] == 1
        else:
            agrees_with_the_jury(preference)
    for row in rows(folder / "judgments.jsonl"):
        decision, comparison = row["decision"], row["comparison"]
        messages = comparison["prompt"]["messages"]
        both = all(violated(messages, comparison[side]["text"]) for side in ("response_a", "response_b"))
        assert both == (decision.get("reason") == "filtered")
        assert bool(row["outcomes"]) == (decision["aggregator"] == "majority")
    assert distance(resolve_path(MODEL), checkpoint(done, "ppo")) > 1e-5


@pytest.mark.slow
def test_routed_sends_each_prompt_down_its_own_way(tmp_path: Path, rows: Rows) -> None:
    done = carry_out(RECIPES / "routed.yaml", tmp_path / "run")
    revised = rows(folder_of(done, "revise") / "trajectories.jsonl")
    judged = rows(folder_of(done, "compare") / "judgments.jsonl")
    trained = rows(folder_of(done, "ppo") / "prompts.jsonl")
    assert revised
    assert all("safety-critical" in t["prompt"]["tags"] for t in revised)
    assert judged
    assert not any("safety-critical" in j["comparison"]["prompt"]["tags"] for j in judged)
    critical, others = {id_of(t["prompt"]) for t in revised}, {row["prompt_id"] for row in trained}
    assert not critical & others
    assert {id_of(j["comparison"]["prompt"]) for j in judged} <= others
    assert (len(critical), len(others)) == (20, 20)
    tags = [
        {
            ("safety-critical" in row["prompt"]["tags"])
            for row in rows(folder_of(done, name) / "responses.jsonl")
        }
        for name in ("safety", "quality")
    ]
    assert tags == [{True}, {False}]
    assert distance(checkpoint(done, "sft"), checkpoint(done, "ppo")) > 1e-5


@pytest.mark.slow
def test_iterated_compares_and_trains_the_policy_of_the_round_before(tmp_path: Path, rows: Rows) -> None:
    limit = 'prompts={path: "' + PROMPTS + '", limit: 16}'
    done = carry_out(RECIPES / "iterated.yaml", tmp_path / "run", "stages.0.rounds=2", limit)
    assert [stage.name for stage in done.stages] == ["compare-1", "dpo-1", "compare-2", "dpo-2", "evaluate"]
    judged = [rows(folder_of(done, f"compare-{number}") / "judgments.jsonl") for number in (1, 2)]
    asked = [{id_of(row["comparison"]["prompt"]) for row in found} for found in judged]
    assert asked[0]
    assert asked[1]
    assert not asked[0] & asked[1]
    (stage,) = (s for s in check(done.recipe, Registry.discover()).stages if s.name == "compare-2")
    seen = {judged[1][0]["comparison"][side]["text"] for side in ("response_a", "response_b")}
    assert seen <= sampled_again(checkpoint(done, "dpo-1"), stage, judged[1][0])
    for number in (1, 2):
        for preference in rows(folder_of(done, f"compare-{number}") / "preferences.jsonl"):
            agrees_with_the_jury(preference)
    start, first, second = resolve_path(MODEL), checkpoint(done, "dpo-1"), checkpoint(done, "dpo-2")
    assert min(distance(start, first), distance(first, second)) > 1e-5
    assert done.stages[-1].summary["policies"].keys() == {"base", "first", "last"}
    assert set(rows(folder_of(done, "evaluate") / "responses.jsonl")[0]["scores"]) == {"demo-oracle"}


@pytest.mark.slow
def test_best_of_n_learns_the_answer_that_the_oracle_likes_best(tmp_path: Path, rows: Rows) -> None:
    done = carry_out(RECIPES / "best_of_n.yaml", tmp_path / "run")
    folder = folder_of(done, "best_of")
    candidates = {
        Prompt.model_validate(row["prompt"]).id: row["candidates"]
        for row in rows(folder / "candidates.jsonl")
    }
    assert len(candidates) == 20
    oracle, prompts = Oracle(), {prompt.id: prompt for prompt in load_prompts(resolve_path(PROMPTS))}
    kept = rows(folder / "revisions.jsonl")
    assert kept
    for row in kept:
        prompt = prompts[row["prompt_id"]]
        whole = [
            each["response"]["text"]
            for each in candidates[row["prompt_id"]]
            if each["response"]["text"].strip() and each["response"]["finish_reason"] == "stop"
        ]
        best = max(oracle.truth(prompt, text).value for text in whole)
        assert oracle.truth(prompt, row["completion"][0]["content"]).value == best == row["score"]
    assert done.stages[0].summary["score"]["gain"] > 0
    assert distance(resolve_path(MODEL), checkpoint(done, "sft")) > 1e-4
    (stage,) = (stage for stage in read_run(done.folder).stages if stage.kind == "best_of")
    kept_row = funnel(stage)[-1]
    assert (kept_row.count, kept_row.whole) == (len(kept), 20)


@pytest.mark.slow
def test_direct_rlaif_is_rewarded_by_the_scorer(tmp_path: Path, rows: Rows) -> None:
    done = carry_out(RECIPES / "direct_rlaif.yaml", tmp_path / "run")
    assert distance(resolve_path(MODEL), checkpoint(done, "grpo")) > 1e-5
    scored = rows(folder_of(done, "grpo") / "scores.jsonl")
    for row in scored:
        prompt = Prompt.model_validate(row["prompt"])
        assert row["value"] == Oracle().truth(prompt, row["response"]["text"]).value
    values = [row["value"] for row in scored if row["asked_by"] == "score"]
    steps = [row for row in rows(folder_of(done, "grpo") / "metrics.jsonl") if "raw_reward" in row]
    assert (len(values), len(steps)) == (16, 2)
    rewards = [step["raw_reward"] for step in steps]
    assert rewards == [pytest.approx(statistics.mean(values[n : n + 8])) for n in (0, 8)]
    assert {"base", "direct"} == done.stages[-1].summary["policies"].keys()
