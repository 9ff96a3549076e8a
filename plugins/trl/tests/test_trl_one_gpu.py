"""What all six trainers do alike on a machine: one of several GPUs, and too little memory anywhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jurist.contracts import Trainer
from jurist.errors import TrainingError
from jurist.train_jobs import TrainJob
from jurist_trl.groups.component import GRPO, RLOO
from jurist_trl.ppo.component import PPO
from jurist_trl.supervised.dpo import DPO
from jurist_trl.supervised.reward import Reward
from jurist_trl.supervised.sft import SFT

SIX = [
    (SFT, "revisions"),
    (Reward, "preferences"),
    (DPO, "preferences"),
    (PPO, "prompts"),
    (GRPO, "prompts"),
    (RLOO, "prompts"),
]


@pytest.fixture
def start(request: pytest.FixtureRequest, policy: Path, tmp_path: Path, reward_functions: Any) -> Any:
    def train(method: type[Trainer], data: str) -> Any:
        reward = {"max_completion_length": 4, "reward": f"{reward_functions.__name__}:goods", "rollouts": 1}
        own: dict[str, Any] = reward if data == "prompts" else {"max_steps": 1}
        job = TrainJob(model=policy, data=request.getfixturevalue(data), output=tmp_path)
        return method(method.Options(**own, batch_size=8)).train(job, lambda _: None)

    return train


@pytest.mark.parametrize(("method", "data"), SIX)
def test_of_several_gpus_a_process_uses_one(
    method: type[Trainer], data: str, start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Transformers finds two here, as it does where both are visible."""
    from transformers import TrainingArguments

    made = TrainingArguments.__post_init__

    def with_two(self: Any) -> None:
        made(self)
        self._n_gpu = 2

    monkeypatch.setattr(TrainingArguments, "__post_init__", with_two)
    assert start(method, data).metrics["steps"] == (4 if method is PPO else 1)


@pytest.mark.parametrize(("method", "data"), SIX)
def test_too_little_memory_to_load_a_model_is_named(
    method: type[Trainer], data: str, start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from transformers import PreTrainedModel

    def too_large(*args: Any, **kwargs: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(PreTrainedModel, "from_pretrained", too_large)
    with pytest.raises(TrainingError, match="out of memory; no checkpoint was saved yet") as caught:
        start(method, data)
    assert "lower batch_size" in str(caught.value)


def test_too_little_memory_to_save_the_value_model_is_named(
    start: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch
    from transformers import LlamaForSequenceClassification

    def too_large(*args: Any, **kwargs: Any) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory")

    monkeypatch.setattr(LlamaForSequenceClassification, "save_pretrained", too_large)
    with pytest.raises(TrainingError, match="out of memory"):
        start(PPO, "prompts")
