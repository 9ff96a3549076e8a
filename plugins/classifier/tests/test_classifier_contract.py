"""Our components keep the promises that every component makes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from jurist.testing import JudgeContract, TrainerContract
from jurist.train_jobs import TrainJob
from jurist_classifier.judge import ClassifierJudge
from jurist_classifier.trainer import ClassifierOptions, ClassifierTrainer

FAST = {"batch_size": 16, "epochs": 1, "eval_steps": 5}


@pytest.fixture(scope="module")
def labeler(bases: dict[str, Path], preferences: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    job = TrainJob(model=bases["encoder"], data=preferences, output=tmp_path_factory.mktemp("labeler"))
    return ClassifierTrainer(ClassifierOptions(**FAST)).train(job, lambda _: None).path


class TestClassifierTrainer(TrainerContract):
    component = ClassifierTrainer
    options: ClassVar[Mapping[str, Any]] = FAST

    @pytest.fixture(autouse=True)
    def _given(self, bases: dict[str, Path], preferences: Path) -> None:
        self.base, self.examples = bases["decoder"], preferences

    def job(self, tmp_path: Path) -> TrainJob:
        return TrainJob(model=self.base, data=self.examples, output=tmp_path)


class TestClassifierJudge(JudgeContract):
    component = ClassifierJudge

    @pytest.fixture(autouse=True)
    def _given(self, labeler: Path) -> None:
        type(self).options = {"model": labeler}
