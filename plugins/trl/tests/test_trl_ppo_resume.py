"""A PPO training that was interrupted goes on as if it had not been."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from jurist.train_jobs import TrainJob, TrainProgress

ADAPTIVE = {"kl_target": 1.0, "kl_horizon": 50, "reward_normalization": True, "reward_clip": 2.0}
LORA = {"rank": 4, "target_modules": ["q_proj", "v_proj"]}
TWO_EPOCHS = {"rollouts": 5, "ppo_epochs": 2, "save_steps": 3}
SPLIT = {"rollouts": 3, "ppo_epochs": 2, "mini_batches": 2, "gradient_accumulation_steps": 2, "save_steps": 4}
CASES = [
    pytest.param(1, TWO_EPOCHS | ADAPTIVE, id="before the first checkpoint"),
    pytest.param(4, TWO_EPOCHS | ADAPTIVE, id="just before a checkpoint"),
    pytest.param(5, TWO_EPOCHS | ADAPTIVE, id="just after a checkpoint"),
    pytest.param(7, TWO_EPOCHS | ADAPTIVE, id="in the middle of a rollout"),
    pytest.param(10, TWO_EPOCHS | ADAPTIVE, id="at the last step"),
    pytest.param(
        6,
        SPLIT | ADAPTIVE | {"whiten_rewards": True, "value_lr_scheduler": "cosine"},
        id="mini-batches and accumulation",
    ),
    pytest.param(7, TWO_EPOCHS | {"lora": LORA}, id="adapters"),
    pytest.param(7, TWO_EPOCHS | {"kl_stop": 1e-3, "value_warmup_rollouts": 1}, id="a policy that rests"),
]


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*gradient_checkpointing.*:FutureWarning")
@pytest.mark.parametrize(("killed_at", "settings"), CASES)
def test_killed_and_resumed_training_ends_bit_identical(
    killed_at: int,
    settings: dict[str, Any],
    ppo_job: TrainJob,
    train_ppo: Any,
    metrics_of: Any,
    weights: Any,
    kill_at: Any,
    revisions: Path,
    prompts: Path,
) -> None:
    """With held-out evaluation, which draws random numbers, and conversations mixed in."""
    import torch

    def measure(asked: Any, texts: Sequence[str]) -> list[float | None]:
        return [float(len(text)) for text in texts]

    job = ppo_job.model_copy(update={"held_out": prompts, "mixed": revisions})
    settings = {**settings, "eval_steps": 3}
    whole = job.model_copy(update={"output": job.output / "whole"})
    halved = job.model_copy(update={"output": job.output / "halved"})
    train_ppo(whole, measure=measure, **settings)
    with pytest.raises(Exception, match=f"at step {killed_at}"):
        train_ppo(halved, kill_at(killed_at), measure, **settings)
    resumed: list[TrainProgress] = []
    train_ppo(halved, resumed.append, measure, **settings)

    assert resumed[-1].step == resumed[-1].total
    assert (resumed[0].step == 0) == (killed_at < 5)  # the first checkpoint is of step 4
    for folder in ("model", "value_model"):
        a, b = weights(whole.output / folder), weights(halved.output / folder)
        assert a.keys() == b.keys()
        assert all(torch.equal(a[name], b[name]) for name in a), folder
    first, second = (
        [{k: v for k, v in x.items() if k != "step_time"} for x in metrics_of(j.output)]
        for j in (whole, halved)
    )
    assert first == second
    told = [(job.output / "samples.jsonl").read_text() for job in (whole, halved)]
    assert told[0] == told[1]


def test_checkpoints_lie_between_rollouts(ppo_job: TrainJob, train_ppo: Any, kill_at: Any) -> None:
    with pytest.raises(Exception, match="at step 7"):
        train_ppo(ppo_job, kill_at(7), **TWO_EPOCHS)
    folders = sorted(path.name for path in (ppo_job.output / "checkpoints").iterdir())
    assert folders == ["checkpoint-4"]  # save_steps 3 became 4


def test_a_checkpoint_without_its_value_model_is_not_continued_from(
    ppo_job: TrainJob, train_ppo: Any, kill_at: Any
) -> None:
    from jurist.errors import TrainingError

    with pytest.raises(Exception, match="at step 7"):
        train_ppo(ppo_job, kill_at(7), **TWO_EPOCHS)
    (ppo_job.output / "checkpoints/checkpoint-4/value_model.safetensors").write_bytes(b"")
    with pytest.raises(TrainingError, match=r"checkpoint-4 cannot be continued from") as caught:
        train_ppo(ppo_job, **TWO_EPOCHS)
    assert "remove that folder" in str(caught.value)


def test_a_finished_training_run_again_changes_nothing(
    ppo_job: TrainJob, train_ppo: Any, weights: Any
) -> None:
    import torch

    first = train_ppo(ppo_job)
    before = weights(first.path)
    seen: list[TrainProgress] = []
    second = train_ppo(ppo_job, seen.append)
    after = weights(second.path)
    assert seen == []
    assert all(torch.equal(before[name], after[name]) for name in before)
    assert second.metrics == first.metrics
