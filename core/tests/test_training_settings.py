"""Settings of a train stage: what is refused before anything is spent, what a trainer is handed, the plan."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, ClassVar

import pluggy
import pytest

from jurist import hookimpl, hookspecs
from jurist.constitution import Constitution
from jurist.contracts import Trainer
from jurist.errors import Interrupted, UsageError
from jurist.events import Events
from jurist.options import Options
from jurist.planning.bounds import Bounds
from jurist.planning.planner import plan
from jurist.preflight import check
from jurist.recipe import Recipe
from jurist.records import content_id
from jurist.run import run
from jurist.testing import MemoryTrainer
from jurist.train_jobs import Artifact, JobOutline, TrainProgress

HERE = Path(__file__).parent
REMOTE = {"use": "remote", "url": "http://nowhere"}


class RewardTrainer(MemoryTrainer):
    """Makes reward models."""

    consumes = "preferences"
    produces = "reward_model"

    def train(self, job: Any, progress: Any) -> Artifact:
        made = super().train(job, progress)
        return made.model_copy(update={"kind": "reward_model"})


class RewardedTrainer(Trainer):
    """Writes its job down."""

    consumes = "prompts"
    produces = "policy"

    def train(self, job: Any, progress: Any) -> Artifact:
        folder = job.output / "model"
        folder.mkdir(exist_ok=True)
        (folder / "job.json").write_text(job.model_dump_json())
        return Artifact(kind="policy", path=folder)


@pytest.fixture
def known(source: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(HERE))
    source.offer("trainer", "steps", "scored_training:Steps")
    source.offer("chat_model", "remote", "scored_training:Remote")
    source.offer("trainer", "reward", f"{__name__}:RewardTrainer")
    source.offer("trainer", "rewarded", f"{__name__}:RewardedTrainer")
    return source


def recipe(prompts: str | None, *stages: dict[str, Any], **settings: Any) -> Recipe:
    policy = {"use": "remote", "model": "start"}
    return Recipe.of({"prompts": prompts, "policy": policy, "stages": stages, **settings})


def training(**settings: Any) -> dict[str, Any]:
    return {"stage": "train", "trainer": "steps", "scorers": ["length"], **settings}


def handed(folder: Path, stage: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / "stages" / stage / "model" / "job.json").read_text())
    return found


# --- what is refused ---------------------------------------------------------------------------------


def test_what_a_trainer_could_make_nothing_of_is_refused_all_at_once(known: Any, write_rows: Any) -> None:
    data = {"path": write_rows({"prompt": "a", "completion": "b"}, name="data.jsonl")}
    mixed = {"path": write_rows({"prompt": "a", "completion": ""}, {"prompt": "b"}, name="mixed.jsonl")}
    held_out = {"prompts": write_rows({"prompt": "a", "tags": ["x"]}, name="held_out.jsonl")}
    bad = recipe(
        write_rows("a", "b", "c"),
        training(name="sft", trainer="memory", data=data, held_out=held_out),
        training(
            name="reward",
            trainer="reward",
            scorers=[],
            data={"path": data["path"]},
            mixed={"path": "no.jsonl"},
        ),
        training(
            name="ppo",
            scorers=["length", {"use": "length"}],
            mixed=mixed,
            held_out={**held_out, "scorers": ["nobody"]},
        ),
        training(name="plain", scorers=[], principles="all", reward_model=["reward", "other"]),
        training(name="empty", held_out={"prompts": {"path": held_out["prompts"], "tags": ["y"]}}),
    )
    with pytest.raises(UsageError) as caught:
        check(bad, known)
    told = "\n".join(caught.value.faults)
    for line in (
        "stages.sft.scorers: 'memory' learns from revisions, and samples nothing that could be scored",
        "stages.sft.held_out: 'memory' learns from revisions, and samples nothing that could be scored",
        "stages.reward.data: ",
        "data.jsonl:1.chosen: required, but not given",
        "stages.reward.mixed: 'reward' learns from preferences, with which no conversations are mixed",
        "stages.reward.mixed: cannot read no.jsonl",
        "stages.ppo.scorers: give each its own 'name:' (length, length)",
        "mixed.jsonl:2.completion: required, but not given",
        "stages.ppo.held_out: 1 of its 1 prompts are trained on as well",
        "stages.ppo.held_out.scorers.0: no scorer 'nobody'",
        "stages.plain.principles: there are no scorers that could go by them",
        "stages.plain: no earlier stage makes 'other'",
        "stages.empty.held_out: no prompt of ",
    ):
        assert line in told, told


class OpenOptions(Options):
    reward: str | None = None
    metric: str | None = None


class OpenTrainer(RewardedTrainer):
    """Takes a reward and a measure of its own, where it is given some; says what it was told of its job."""

    Options = OpenOptions

    def faults(self, outline: JobOutline) -> Sequence[str]:
        return [outline.model_dump_json(exclude_defaults=True)] if outline.held_out else []


def test_what_is_named_must_be_there_and_be_what_is_needed(known: Any, write_rows: Any) -> None:
    known.offer("trainer", "open", f"{__name__}:OpenTrainer")
    data = {"path": write_rows({"prompt": "a", "completion": "b"}, name="data.jsonl")}
    held_out = {"prompts": write_rows("z", name="held_out.jsonl")}
    bad = recipe(
        write_rows("a", "b"),
        {"stage": "train", "name": "sft", "trainer": "memory", "data": data},
        training(name="mistaken", scorers=[], reward_model="sft"),
        training(name="unknown", scorers=[], trainer={"use": "open", "reward": "no_such_module:f"}),
        training(name="unsound", trainer="open", held_out=held_out, processes=2),
    )
    with pytest.raises(UsageError) as caught:
        check(bad, known)
    assert caught.value.faults == (
        "stages.mistaken: 'sft' stands for a policy, and a labeler or a reward model is needed",
        "stages.unknown.trainer.reward: there is no module 'no_such_module' to import",
        'stages.unsound.trainer: {"held_out":true,"scored":true,"processes":2}',
    )


def test_without_scorers_the_newest_reward_model_rewards(known: Any, write_rows: Any) -> None:
    with pytest.raises(UsageError, match="no earlier stage makes 'reward_model'"):
        check(recipe(write_rows("a"), training(scorers=[])), known)
    check(recipe(write_rows("a"), training()), known)
    with pytest.raises(UsageError, match="no earlier stage makes 'reward_model'"):
        check(recipe(write_rows("a"), training(reward_model="reward_model")), known)


# --- what a trainer is handed ------------------------------------------------------------------------


def test_a_job_has_several_reward_models_held_out_prompts_and_conversations(
    known: Any, write_rows: Any, rows: Any, tmp_path: Path
) -> None:
    pairs = write_rows({"prompt": "a", "chosen": "b", "rejected": "c"}, name="pairs.jsonl")
    reward = {"stage": "train", "trainer": "reward", "data": {"path": pairs}}
    mixed = write_rows({"prompt": "Hi", "completion": "Hello.", "source": "us"}, name="mixed.jsonl")
    ppo = {
        "stage": "train",
        "name": "ppo",
        "trainer": "rewarded",
        "reward_model": ["second", "first"],
        "held_out": {"prompts": write_rows("away", name="held_out.jsonl")},
        "mixed": {"path": mixed},
    }
    stages = [{**reward, "name": "first"}, {**reward, "name": "second"}, ppo]
    run(recipe(write_rows("a", "b"), *stages), tmp_path / "run", known, in_process=True)
    job = handed(tmp_path / "run", "03-ppo")
    folders = tmp_path / "run" / "stages"
    assert job["reward_models"] == [str(folders / "02-second" / "model"), str(folders / "01-first" / "model")]
    (held_out,) = rows(Path(job["held_out"]))
    assert held_out["prompt"] == [{"role": "user", "content": "away"}]
    assert rows(Path(job["mixed"])) == [
        {
            "prompt": [{"role": "user", "content": "Hi"}],
            "completion": [{"role": "assistant", "content": "Hello."}],
        }
    ]
    assert Path(job["held_out"]).parent == Path(job["mixed"]).parent == folders / "03-ppo"


def test_files_that_changed_are_trained_with_anew(known: Any, write_rows: Any, tmp_path: Path) -> None:
    mixed = {"prompt": "Hi", "completion": "Hello."}
    stage = training(
        trainer={"use": "steps", "steps": 1},
        held_out={"prompts": write_rows("away", name="held_out.jsonl")},
        mixed={"path": write_rows(mixed, name="mixed.jsonl")},
    )
    wanted = recipe(write_rows("a"), stage)

    def skipped() -> bool:
        return run(wanted, tmp_path / "run", known, in_process=True).stages[0].skipped

    assert [skipped(), skipped()] == [False, True]
    write_rows("away", "further", name="held_out.jsonl")
    assert [skipped(), skipped()] == [False, True]
    write_rows(mixed, mixed, name="mixed.jsonl")
    assert [skipped(), skipped()] == [False, True]


def test_the_lineage_names_what_a_checkpoint_rests_on(known: Any, write_rows: Any, tmp_path: Path) -> None:
    pairs = write_rows({"prompt": "p", "response_a": "a", "response_b": "b"}, name="pairs.jsonl")
    compare = {
        "stage": "compare",
        "orders": "one",
        "pairs": pairs,
        "judges": [
            {"use": "constant", "name": "mild", "preference": 0.8},
            {"use": "constant", "name": "sure", "preference": 0.9},
        ],
    }
    stages = [
        compare,
        {"stage": "train", "name": "reward", "model": "base", "trainer": "reward"},
        {"stage": "compare", "name": "unused", "pairs": pairs, "judges": ["constant"]},
        {
            "stage": "train",
            "name": "ppo",
            "trainer": "rewarded",
            "reward_model": "reward",
            "scorers": ["length"],
        },
    ]
    wanted = recipe(write_rows("a", "b"), *stages, name="rlaif", seed=7)
    lineages = []
    for name in ("one", "two"):
        done = run(wanted, tmp_path / name, known, in_process=True)
        lineages.append(handed(tmp_path / name, "04-ppo")["lineage"])
    assert lineages[0] == lineages[1]
    found = lineages[0]
    prompts = (done.stages[3].folder / "prompts.jsonl").read_bytes()
    constitution = Constitution.load("default")
    assert found["recipe"] == "rlaif"
    assert found["seed"] == 7
    assert found["constitution"] == {"name": constitution.name, "id": content_id(constitution)}
    assert found["data"] == {"file": "prompts.jsonl", "sha256": hashlib.sha256(prompts).hexdigest()}
    assert found["versions"] == {"jurist-core": version("jurist-core")}
    assert list(found["stages"]) == ["compare", "reward", "ppo"]
    judges = found["stages"]["compare"]["judges"]
    assert list(judges) == ["mild", "sure"]
    assert judges["mild"] != judges["sure"]
    assert all(len(each) == 16 for each in judges.values())
    assert found["stages"]["reward"] == {"kind": "train", "trainer": ["reward"], "model": ["base"]}
    assert list(found["stages"]["ppo"]["scorers"]) == ["length"]


class WarningTrainer(RewardedTrainer):
    """Has something to say."""

    def train(self, job: Any, progress: Any) -> Artifact:
        progress(TrainProgress(step=1, total=2))
        progress(TrainProgress(step=2, total=2, warning="rewards rise while quality falls"))
        return super().train(job, progress)


class Notices:
    """Notes what a person is told."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, str]] = []

    @hookimpl
    def jurist_notice(self, component: str, text: str) -> None:
        self.seen.append((component, text))


def test_what_a_trainer_warns_of_is_told_at_once(known: Any, write_rows: Any, tmp_path: Path) -> None:
    known.offer("trainer", "warning", f"{__name__}:WarningTrainer")
    hooks, notices = pluggy.PluginManager("jurist"), Notices()
    hooks.add_hookspecs(hookspecs)
    hooks.register(notices)
    stage = training(trainer="warning")
    run(recipe(write_rows("a"), stage), tmp_path / "run", known, events=Events(hooks.hook), in_process=True)
    assert notices.seen == [("warning", "rewards rise while quality falls")]


# --- the plan ----------------------------------------------------------------------------------------


def test_a_plan_counts_what_the_trainer_says_it_has_scored(known: Any, write_rows: Any) -> None:
    stage = training(
        trainer={"use": "steps", "steps": 6},
        scorers=[{**REMOTE, "name": "judge"}],
        held_out={"prompts": write_rows("far", "away", name="held_out.jsonl"), "scorers": ["length"]},
    )
    planned = plan(recipe(write_rows("a", "b", "c"), stage), known).stages[0]
    judge, length = planned.components
    assert planned.trainer == "steps"
    assert (judge.component, judge.calls) == ("judge", Bounds.of(6 * 3))
    assert (length.component, length.calls) == ("length", Bounds.of(2 * 2))
    assert judge.prompt_tokens is not None
    assert judge.completion_tokens is not None
    # Each response that is quoted has 1 to 5 tokens.
    assert judge.prompt_tokens.high - judge.prompt_tokens.low == 6 * 3 * (5 - 1)
    assert judge.completion_tokens == Bounds(low=18, high=18 * 256)
    assert judge.cost is not None
    assert judge.cost.usd.high == pytest.approx((judge.prompt_tokens.high + 18 * 256) * 1e-6)


def test_where_a_trainer_says_nothing_a_plan_has_no_upper_bound(known: Any, write_rows: Any) -> None:
    stage = training(trainer={"use": "steps", "told": False}, scorers=[{**REMOTE, "name": "judge"}])
    planned = plan(recipe(write_rows("a"), stage, budget={"usd": 1, "tokens": 1000}), known)
    (judge,) = planned.stages[0].components
    assert judge.calls == judge.prompt_tokens == Bounds(low=0, high=math.inf)
    assert planned.total.cost.usd == Bounds(low=0, high=math.inf)
    assert [cap.verdict for cap in planned.budget] == ["may not fit", "may not fit"]
    assert json.loads(planned.model_dump_json())["total"]["calls"]["high"] == "Infinity"


def test_training_without_scorers_is_planned_as_before(known: Any, write_rows: Any) -> None:
    data = {"path": write_rows({"prompt": "a", "completion": "b"}, name="data.jsonl")}
    stage = {"stage": "train", "trainer": "memory", "data": data}
    assert plan(recipe(None, stage), known).stages[0].components == ()


class StoppingTrainer(RewardedTrainer):
    """Is interrupted when it has written its checkpoints."""

    checkpoints: ClassVar[tuple[str, ...]] = ()

    def train(self, job: Any, progress: Any) -> Artifact:
        for age, name in enumerate(self.checkpoints):
            path = job.output / "checkpoints" / name
            path.mkdir(parents=True)
            os.utime(path, (0, 1000 - age))
        raise Interrupted("interrupted")


@pytest.mark.parametrize(
    ("checkpoints", "says"),
    [
        ((), "it was stopped before its first checkpoint (see its option save_steps), so it begins anew"),
        (("checkpoint-50", "checkpoint-9"), "it was stopped, and goes on from checkpoint-50"),
    ],
)
def test_a_training_that_is_stopped_says_what_it_goes_on_from(
    known: Any,
    write_rows: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    checkpoints: tuple[str, ...],
    says: str,
) -> None:
    monkeypatch.setattr(StoppingTrainer, "checkpoints", checkpoints)
    known.offer("trainer", "stopping", f"{__name__}:StoppingTrainer")
    hooks, notices = pluggy.PluginManager("jurist"), Notices()
    hooks.add_hookspecs(hookspecs)
    hooks.register(notices)
    asked = recipe(write_rows("a"), training(trainer="stopping"))
    with pytest.raises(Interrupted):
        run(asked, tmp_path / "run", known, events=Events(hooks.hook), in_process=True)
    assert notices.seen == [("stopping", says)]
