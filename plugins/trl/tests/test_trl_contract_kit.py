"""Our components keep the promises that every component makes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, ClassVar

import pytest

from jurist.testing import JudgeContract, ScorerContract, TrainerContract
from jurist.train_jobs import TrainJob
from jurist_trl.groups.component import GRPO, RLOO
from jurist_trl.ppo.component import PPO
from jurist_trl.reward_judge import RewardModelJudge, RewardModelScorer
from jurist_trl.supervised.dpo import DPO
from jurist_trl.supervised.reward import Reward, RewardOptions
from jurist_trl.supervised.sft import SFT

FAST = {"batch_size": 8, "save_steps": 2}


@pytest.fixture(scope="module")
def reward_model(policy: Path, preferences: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    job = TrainJob(model=policy, data=preferences, output=tmp_path_factory.mktemp("reward"))
    return Reward(RewardOptions(batch_size=8, max_steps=2)).train(job, lambda _: None).path


class TestSFT(TrainerContract):
    component = SFT
    options: ClassVar[Mapping[str, Any]] = FAST

    @pytest.fixture(autouse=True)
    def _given(self, policy: Path, revisions: Path) -> None:
        self.policy, self.examples = policy, revisions

    def job(self, tmp_path: Path) -> TrainJob:
        return TrainJob(model=self.policy, data=self.examples, output=tmp_path)


class TestReward(TrainerContract):
    component = Reward
    options: ClassVar[Mapping[str, Any]] = {**FAST, "max_steps": 2}

    @pytest.fixture(autouse=True)
    def _given(self, policy: Path, preferences: Path) -> None:
        self.policy, self.examples = policy, preferences

    def job(self, tmp_path: Path) -> TrainJob:
        return TrainJob(model=self.policy, data=self.examples, output=tmp_path)


class TestDPO(TrainerContract):
    component = DPO
    options: ClassVar[Mapping[str, Any]] = {**FAST, "max_steps": 2}

    @pytest.fixture(autouse=True)
    def _given(self, policy: Path, preferences: Path) -> None:
        self.policy, self.examples = policy, preferences

    def job(self, tmp_path: Path) -> TrainJob:
        return TrainJob(model=self.policy, data=self.examples, output=tmp_path)


class TestPPO(TrainerContract):
    component = PPO
    options: ClassVar[Mapping[str, Any]] = {**FAST, "rollouts": 2, "max_completion_length": 4}

    @pytest.fixture(autouse=True)
    def _given(self, policy: Path, prompts: Path, reward_model: Path) -> None:
        self.policy, self.examples, self.reward_model = policy, prompts, reward_model

    def job(self, tmp_path: Path) -> TrainJob:
        return TrainJob(
            model=self.policy, data=self.examples, output=tmp_path, reward_models=(self.reward_model,)
        )


class TestGRPO(TestPPO):
    component = GRPO


class TestRLOO(TestPPO):
    component = RLOO


class TestRewardModelJudge(JudgeContract):
    component = RewardModelJudge

    @pytest.fixture(autouse=True)
    def _given(self, reward_model: Path) -> None:
        type(self).options = {"model": reward_model}


class TestRewardModelScorer(ScorerContract):
    component = RewardModelScorer

    @pytest.fixture(autouse=True)
    def _given(self, reward_model: Path) -> None:
        type(self).options = {"model": reward_model}
