"""Learning from a file of people's, from a checkpoint of the trainer's own, and labelers as judges."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from jurist.contracts import Judge, Trainer
from jurist.errors import UsageError
from jurist.files.training_data import PreferenceRow, read_training_data
from jurist.options import Options
from jurist.planning.planner import plan
from jurist.preflight import check
from jurist.recipe import Recipe
from jurist.records import Judgment
from jurist.run import run
from jurist.testing import ScriptedChatModel
from jurist.train_jobs import Artifact

Rows = Callable[[Path], list[Any]]

HUMAN = [
    {"prompt": "Hi", "chosen": "Hello.", "rejected": "Go away."},
    {
        "prompt": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Bye"}],
        "chosen": [{"role": "assistant", "content": "Bye."}],
        "rejected": [{"role": "assistant", "content": "No."}],
        "probability": 0.8,
        "annotator": "ann",
    },
]


class LengthLabelerOptions(Options):
    base: str | None = None


class LengthLabeler(Trainer):
    """Writes down what it was given; its checkpoint is a folder with that in it."""

    Options = LengthLabelerOptions
    consumes = "preferences"
    produces = "labeler"

    def train(self, job: Any, progress: Any) -> Artifact:
        folder = job.output / "model"
        folder.mkdir(parents=True, exist_ok=True)
        rows = [json.loads(line) for line in job.data.read_text().splitlines()]
        (folder / "seen.json").write_text(json.dumps({"model": str(job.model), "rows": rows}))
        return Artifact(kind="labeler", path=folder)


class LengthLabelerJudgeOptions(Options):
    model: Path


class LengthLabelerJudge(Judge):
    """Prefers A as often as its model saw rows; says in its rationale where the model lies."""

    Options = LengthLabelerJudgeOptions
    options: LengthLabelerJudgeOptions
    capabilities = frozenset({"symmetric"})

    async def judge(self, comparison: Any, principles: Any) -> Judgment:
        seen = json.loads((self.options.model / "seen.json").read_text())
        return Judgment(preference=1 - 0.1 * len(seen["rows"]), rationale=str(self.options.model))


@pytest.fixture
def labelling(source: Any) -> Any:
    source.offer("trainer", "lengthy", f"{__name__}:LengthLabeler")
    source.offer("judge", "lengthy", f"{__name__}:LengthLabelerJudge")
    return source


def write(path: Path, rows: list[Any]) -> Path:
    path.write_text("".join((r if isinstance(r, str) else json.dumps(r)) + "\n" for r in rows))
    return path


def recipe(*stages: dict[str, Any], **settings: Any) -> Recipe:
    return Recipe.of({"stages": stages, **settings})


def train(file: Path, **settings: Any) -> dict[str, Any]:
    trainer = {"use": "lengthy", "base": "some/encoder"}
    return {"stage": "train", "name": "human", "trainer": trainer, "data": {"path": str(file)}, **settings}


def test_rows_of_both_forms_become_conversations(tmp_path: Path) -> None:
    plain, conversational = read_training_data(write(tmp_path / "h.jsonl", HUMAN), PreferenceRow)
    assert [(turn.role, turn.content) for turn in plain.prompt] == [("user", "Hi")]
    assert [(turn.role, turn.content) for turn in plain.rejected] == [("assistant", "Go away.")]
    assert (plain.probability, conversational.probability) == (1.0, 0.8)
    assert [turn.role for turn in conversational.prompt] == ["system", "user"]


def test_faults_of_all_rows_are_reported_by_line_before_anything_is_trained(
    labelling: Any, tmp_path: Path
) -> None:
    rows = [
        HUMAN[0],
        "{oops",
        {"prompt": "Hi", "chosen": "Hello."},
        {**HUMAN[0], "probability": 1.5},
        {**HUMAN[0], "prompt": [{"role": "assistant", "content": "Hm."}]},
        {**HUMAN[0], "chosen": []},
        {**HUMAN[0], "rejected": "\ud83d"},
        {**HUMAN[0], "chosen": [{"role": "bot", "content": "Hm."}]},
        "[]",
        {
            **HUMAN[0],
            "chosen": [{"role": role, "content": "Hm."} for role in ("assistant", "user", "assistant")],
        },
    ]
    with pytest.raises(UsageError) as caught:
        run(recipe(train(write(tmp_path / "h.jsonl", rows))), tmp_path / "run", labelling)
    text = str(caught.value)
    assert "h.jsonl: 9 faults" in text
    for part in (
        "h.jsonl:2: not JSON",
        "h.jsonl:3.rejected: required, but not given",
        "h.jsonl:4.probability: ",
        "h.jsonl:5.prompt: must end with a message of the user",
        "h.jsonl:6.chosen: ",
        "h.jsonl:7: holds half a character",
        "h.jsonl:8.chosen.0.role: ",
        "h.jsonl:9: ",
        "h.jsonl:10.chosen: must be messages of the assistant alone; ",
    ):
        assert part in text
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize(("rows", "fault"), [(None, "cannot read"), ([], "holds nothing to train on")])
def test_a_file_that_is_missing_or_empty_is_refused(
    rows: list[Any] | None, fault: str, labelling: Any, tmp_path: Path
) -> None:
    file = tmp_path / "h.jsonl"
    if rows is not None:
        write(file, rows)
    with pytest.raises(UsageError, match=fault):
        check(recipe(train(file)), labelling)


def test_a_labeler_learns_from_a_file_without_a_policy_and_then_judges(
    labelling: Any, rows: Rows, tmp_path: Path
) -> None:
    pairs = write(tmp_path / "pairs.jsonl", [{"prompt": "Hi", "response_a": "Oh.", "response_b": "Ah."}])
    file = write(tmp_path / "h.jsonl", HUMAN)
    both = recipe(
        train(file),
        {"stage": "compare", "pairs": str(pairs), "judges": ["labeler"], "principles": "none"},
    )
    assert plan(both, labelling).stages[1].components[0].component == "human"
    done = run(both, tmp_path / "run", labelling, in_process=True)
    model = tmp_path / "run" / "stages" / "01-human" / "model"
    seen = json.loads((model / "seen.json").read_text())
    assert seen["model"] == "some/encoder"
    assert [row["probability"] for row in seen["rows"]] == [1.0, 0.8]
    assert all(type(row[name]) is list for row in seen["rows"] for name in ("prompt", "chosen", "rejected"))
    (judged,) = rows(done.stages[1].folder / "judgments.jsonl")
    assert judged["outcomes"][0]["preference"] == pytest.approx(0.8)
    assert judged["outcomes"][0]["source"] == "human"
    assert judged["outcomes"][0]["rationale"] == str(model)

    moved = tmp_path / "moved"
    (tmp_path / "run").rename(moved)
    again = run(both, moved, labelling, in_process=True)
    assert [stage.skipped for stage in again.stages] == [True, True]
    assert again.artifacts.component("labeler") == {
        "use": "lengthy",
        "name": "human",
        "model": str(moved / "stages" / "01-human" / "model"),
    }


def test_a_changed_file_is_learnt_from_again_and_judged_by_again(labelling: Any, tmp_path: Path) -> None:
    pairs = write(tmp_path / "pairs.jsonl", [{"prompt": "Hi", "response_a": "Oh.", "response_b": "Ah."}])
    file = write(tmp_path / "h.jsonl", HUMAN)
    both = recipe(train(file), {"stage": "compare", "pairs": str(pairs), "judges": ["human"]})
    run(both, tmp_path / "run", labelling, in_process=True)
    write(file, [*HUMAN, HUMAN[0]])
    again = run(both, tmp_path / "run", labelling, in_process=True)
    assert [stage.skipped for stage in again.stages] == [False, False]


def test_without_a_base_a_labeler_starts_from_the_policy(labelling: Any, tmp_path: Path) -> None:
    file = write(tmp_path / "h.jsonl", HUMAN)
    only = r"1 fault\n  - stages\.human\.model: no earlier stage makes 'policy'"
    with pytest.raises(UsageError, match=only):
        check(recipe(train(file, trainer="lengthy")), labelling)


def test_any_trainer_learns_from_a_file(source: Any, rows: Rows, tmp_path: Path) -> None:
    file = write(tmp_path / "r.jsonl", [{"prompt": "Hi", "completion": "Hello.", "round": 3}])
    stage = {"stage": "train", "trainer": "memory", "data": {"path": str(file)}}
    source.offer("chat_model", "trainable", f"{__name__}:TrainableModel")
    policy = {"use": "trainable", "model": "there"}
    done = run(recipe(stage, policy=policy), tmp_path / "run", source, in_process=True)
    memory = json.loads((done.stages[0].folder / "model" / "memory.json").read_text())
    assert memory["data"] == [
        {
            "prompt": [{"role": "user", "content": "Hi"}],
            "completion": [{"role": "assistant", "content": "Hello."}],
        }
    ]


class TrainableOptions(ScriptedChatModel.Options):
    model: str


class TrainableModel(ScriptedChatModel):
    Options = TrainableOptions


class PromptingTrainer(Trainer):
    consumes = "prompts"
    produces = "policy"

    def train(self, job: Any, progress: Any) -> Artifact:
        raise AssertionError("nothing is to be trained")


def test_a_trainer_that_samples_takes_no_file(source: Any, write_rows: Any, tmp_path: Path) -> None:
    source.offer("trainer", "prompting", f"{__name__}:PromptingTrainer")
    stage = {"stage": "train", "trainer": "prompting", "data": {"path": "h.jsonl"}}
    source.offer("chat_model", "trainable", f"{__name__}:TrainableModel")
    policy = {"use": "trainable", "model": "there"}
    with pytest.raises(UsageError, match="'prompting' learns from 'prompts:' alone"):
        check(recipe(stage, prompts=write_rows("p"), policy=policy), source)
