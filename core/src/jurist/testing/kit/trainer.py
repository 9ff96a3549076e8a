"""What a trainer promises."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar, get_args

import pytest

from jurist.contracts import Trainer
from jurist.testing.kit.component import ComponentContract, assert_finite
from jurist.train_jobs import Artifact, JobOutline, Samples, TrainJob, TrainProgress
from jurist.training.channel import Which

Conversation = list[dict[str, str]]


@dataclass
class Training:
    """A job that was trained, what came of it, and the progress reported on the way.

    ``asked`` are the prompts and responses of each call of ``score`` and ``measure``.
    """

    job: TrainJob
    artifact: Artifact
    progress: list[TrainProgress] = field(default_factory=list)
    asked: dict[Which, list[tuple[list[Conversation], list[str]]]] = field(default_factory=dict)

    def prompts_of(self, which: Which) -> list[Conversation]:
        """The prompts that it asked about, as often as it did."""
        return [prompt for prompts, _ in self.asked.get(which, []) for prompt in prompts]


class ScoreByLength:
    """What core sets as ``score`` and ``measure``: the length of a response, and None of every fifth."""

    def __init__(self, calls: list[tuple[list[Conversation], list[str]]]) -> None:
        self._calls = calls

    def __call__(self, prompts: Sequence[Conversation], responses: Sequence[str]) -> list[float | None]:
        """Note what is asked, and answer it."""
        assert len(prompts) == len(responses), f"{len(prompts)} prompts for {len(responses)} responses"
        self._calls.append((list(prompts), list(responses)))
        return [None if number % 5 == 4 else float(len(text)) for number, text in enumerate(responses)]


class TrainerContract(ComponentContract):
    """Tests of a trainer, which trains once. Its author gives a job of seconds in :meth:`job`."""

    contract = Trainer
    trained: ClassVar[Training]

    def job(self, tmp_path: Path) -> TrainJob:
        """A job that takes seconds: a tiny model and a few lines of data, everything under ``tmp_path``."""
        raise AssertionError(
            f"{type(self).__name__} needs a method job(tmp_path) that returns a tiny TrainJob"
        )

    def train(self, job: TrainJob) -> Training:
        """Train ``job`` with a new trainer."""
        progress: list[TrainProgress] = []
        return Training(job, self.new().train(job, progress.append), progress)

    def train_scored(self, job: TrainJob) -> Training:
        """Train ``job`` with a new trainer that is rewarded by scores, and measured on its own prompts."""
        job = job.model_copy(update={"reward_models": (), "held_out": job.data})
        trainer = self.new()
        trained = Training(job, Artifact(kind=trainer.produces, path=job.output), asked={})
        for which in get_args(Which):
            setattr(trainer, which, ScoreByLength(trained.asked.setdefault(which, [])))
        trained.artifact = trainer.train(job, trained.progress.append)
        return trained

    @pytest.fixture
    def scored(self, tmp_path: Path) -> Training:
        """The job, trained once more, as a recipe with scorers has it trained."""
        if getattr(self.component, "consumes", None) != "prompts":
            pytest.skip("it samples no responses that could be scored")
        return self.train_scored(self.job(tmp_path))

    @pytest.fixture
    def training(self, tmp_path_factory: pytest.TempPathFactory) -> Training:
        """The job, trained once for all tests of the class."""
        tests = type(self)
        if "trained" not in vars(tests):
            tests.trained = self.train(self.job(tmp_path_factory.mktemp("trainer")))
        return tests.trained

    def test_consumes_and_produces_are_declared(self) -> None:
        """Set ``consumes`` and ``produces`` on the class: stages check recipes by them."""
        assert getattr(self.component, "consumes", None) in {"revisions", "preferences", "prompts"}
        assert getattr(self.component, "produces", None) in {"policy", "reward_model", "labeler"}

    def test_job_has_no_faults(self, training: Training) -> None:
        """Find no fault in the outline of a job that you can train: recipes with faults do not run."""
        job, samples = training.job, getattr(self.component, "consumes", None) == "prompts"
        outline = JobOutline(
            reward_models=len(job.reward_models),
            held_out=samples,
            measured=samples,
            scored=samples,
            mixed=job.mixed is not None,
        )
        assert list(self.new().faults(outline)) == []

    def test_artifact_is_a_checkpoint(self, training: Training) -> None:
        """Save the checkpoint under the job's ``output``; return it as an Artifact of the declared kind."""
        artifact = training.artifact
        assert type(artifact) is Artifact
        assert artifact.kind == self.component.produces  # type: ignore[attr-defined]
        assert artifact.path.resolve().is_relative_to(training.job.output.resolve())
        assert any(artifact.path.iterdir())
        for value in artifact.metrics.values():
            assert_finite(value)

    def test_weights_are_no_pickles(self, training: Training) -> None:
        """Save weights as safetensors: pickles run code when they are loaded."""
        pickles = [
            p for p in training.artifact.path.rglob("*") if p.suffix in {".bin", ".pt", ".pkl", ".pth"}
        ]
        assert [path.name for path in pickles if path.name != "training_args.bin"] == []

    def test_progress_reaches_the_end(self, training: Training) -> None:
        """Call ``progress`` with growing steps, and at last with step == total."""
        steps = [(progress.step, progress.total) for progress in training.progress]
        assert steps, "progress was never called"
        assert steps == sorted(steps)
        assert steps[-1][0] == steps[-1][1]

    def test_finished_job_can_be_repeated(self, training: Training) -> None:
        """Continue from the last checkpoint in the job's folder: a finished job is done at once."""
        again = self.train(training.job).artifact
        assert again.kind == training.artifact.kind
        assert again.path == training.artifact.path
        assert any(again.path.iterdir())

    def test_scores_are_rewards(self, scored: Training) -> None:
        """Where ``score`` is set, ask it for rewards of responses to the job's prompts; None is no reward."""
        asked = scored.prompts_of("score")
        assert asked, "score was never called"
        assert all(prompt in conversations(scored.job.data) for prompt in asked)
        assert all(type(text) is str for _, texts in scored.asked["score"] for text in texts)
        assert scored.artifact.kind == self.component.produces  # type: ignore[attr-defined]

    def test_held_out_prompts_are_measured(self, scored: Training) -> None:
        """Where ``measure`` is set, ask it about responses to each of the held-out prompts."""
        assert scored.job.held_out is not None
        asked = scored.prompts_of("measure")
        assert all(prompt in asked for prompt in conversations(scored.job.held_out)), "some was not measured"

    def test_scored_responses_are_foretold(self, scored: Training) -> None:
        """Say in ``samples`` and ``measurements`` exactly how many responses you will ask about, or None."""
        trainer, prompts = self.new(), len(conversations(scored.job.data))
        foretold: dict[Which, Samples | None] = {
            "score": trainer.samples(prompts, 1),
            "measure": trainer.measurements(prompts, prompts, 1),
        }
        for which, samples in foretold.items():
            if samples is not None:
                assert samples.responses == len(scored.prompts_of(which)), which


def conversations(file: Path) -> list[Conversation]:
    """The prompts of a file, as chat messages."""
    prompts = [json.loads(line)["prompt"] for line in file.read_text(encoding="utf-8").splitlines()]
    return [[{"role": "user", "content": each}] if isinstance(each, str) else each for each in prompts]
