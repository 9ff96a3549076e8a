"""What a trainer promises."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

import pytest

from jurist.contracts import Artifact, Trainer, TrainJob, TrainProgress
from jurist.testing.kit.component import ComponentContract, assert_finite


@dataclass
class Training:
    """A job that was trained, what came of it, and the progress reported on the way."""

    job: TrainJob
    artifact: Artifact
    progress: list[TrainProgress] = field(default_factory=list)


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
