"""What all trainers do alike: logs, trackers, little data, and what stops a training."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from jurist.contracts import Trainer
from jurist.errors import TrainingError, UsageError
from jurist.train_jobs import TrainJob, TrainProgress
from jurist_trl.supervised.dpo import DPO, DPOOptions
from jurist_trl.supervised.reward import Reward, RewardOptions
from jurist_trl.supervised.sft import SFT, SFTOptions


def lines_of(output: Path) -> list[dict[str, float]]:
    return [json.loads(line) for line in (output / "metrics.jsonl").read_text().splitlines()]


def test_callbacks_add_to_a_steps_metrics_and_log_measurements_of_their_own(
    policy: Path, revisions: Path, tmp_path: Path
) -> None:
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, TrainerCallback
    from trl import SFTConfig

    from jurist_trl.supervised.sft_trainer import QuietSFTTrainer
    from jurist_trl.tokens import load_tokenizer
    from jurist_trl.training.arguments import supervised_arguments
    from jurist_trl.training.session import run_training

    class Measures(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **kwargs: Any) -> None:
            if "loss" in logs:
                logs["doubled"] = 2 * state.global_step

        def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            trainer.log({"held_out_metric": 0.5})
            trainer.log({"something_else": 1.0})

    job, seen = TrainJob(model=policy, data=revisions, output=tmp_path), []
    options = SFTOptions(batch_size=4, max_steps=3)
    rows = [{"input_ids": [6, 7, 8, 1], "labels": [-100, 7, 8, 1]} for _ in range(12)]
    trainer = QuietSFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(policy),
        args=SFTConfig(**supervised_arguments(options, job)),
        train_dataset=Dataset.from_list(rows),
        processing_class=load_tokenizer(policy),
    )
    metrics = run_training(trainer, job, seen.append, callbacks=[Measures()])
    assert [
        (line["step"], line.get("doubled"), line.get("held_out_metric")) for line in lines_of(tmp_path)
    ] == [
        (0, None, 0.5),
        (1, 2, None),
        (2, 4, None),
        (3, 6, None),
    ]
    assert [update.step for update in seen] == [0, 1, 2, 3]
    assert seen[0].metrics["held_out_metric"] == 0.5
    assert (metrics["held_out_metric"], metrics["doubled"]) == (0.5, 6)
    assert "something_else" not in metrics


def test_a_tracker_gets_what_the_metrics_log_gets(
    policy: Path, revisions: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A tracker as Transformers has them, registered under a name of its own."""
    from transformers import TrainerCallback, integrations
    from transformers.integrations import integration_utils

    tracked: list[dict[str, float]] = []

    class Tracker(TrainerCallback):
        def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **kwargs: Any) -> None:
            tracked.append({"step": state.global_step, **logs})

    monkeypatch.setitem(integrations.INTEGRATION_TO_CALLBACK, "ours", Tracker)
    monkeypatch.setattr(integration_utils, "get_available_reporting_integrations", lambda: ["ours"])
    monkeypatch.setattr(integrations, "get_available_reporting_integrations", lambda: ["ours"])
    job = TrainJob(model=policy, data=revisions, output=tmp_path)
    SFT(SFTOptions(batch_size=8, max_steps=3, report_to=("ours",))).train(job, lambda _: None)
    assert tracked[:3] == lines_of(tmp_path)


@pytest.mark.parametrize(
    ("trainer", "data"),
    [
        (SFT(SFTOptions(batch_size=8, epochs=2)), "revisions"),
        (Reward(RewardOptions(batch_size=8, epochs=2, eval_fraction=0, normalize=False)), "preferences"),
        (DPO(DPOOptions(batch_size=8, epochs=2, eval_fraction=0)), "preferences"),
    ],
    ids=["sft", "reward", "dpo"],
)
def test_fewer_examples_than_a_batch_are_one_smaller_batch(
    trainer: Trainer, data: str, request: pytest.FixtureRequest, policy: Path, tmp_path: Path
) -> None:
    three = tmp_path / "three.jsonl"
    three.write_text("".join(request.getfixturevalue(data).read_text().splitlines(keepends=True)[:3]))
    seen: list[TrainProgress] = []
    artifact = trainer.train(TrainJob(model=policy, data=three, output=tmp_path), seen.append)
    assert [update.step for update in seen] == [1, 2]
    assert artifact.metrics["revisions" if data == "revisions" else "pairs"] == 3


@pytest.mark.parametrize(
    ("trainer", "data"),
    [
        (SFT(SFTOptions(batch_size=5, epochs=1.5, lr_scheduler="constant")), "revisions"),
        (Reward(RewardOptions(batch_size=8, max_steps=3, lr_scheduler="constant")), "preferences"),
        (DPO(DPOOptions(batch_size=8, max_steps=3, lr_scheduler="constant")), "preferences"),
    ],
    ids=["sft", "reward", "dpo"],
)
def test_a_training_that_ends_within_an_epoch_is_not_trained_further_when_run_again(
    trainer: Trainer, data: str, request: pytest.FixtureRequest, policy: Path, tmp_path: Path, weights: Any
) -> None:
    """As when it was killed while it wrote the finished model, or when that could not be pushed."""
    import torch

    job = TrainJob(model=policy, data=request.getfixturevalue(data), output=tmp_path)
    first = trainer.train(job, lambda _: None)
    before, seen = weights(first.path), []
    again = trainer.train(job, seen.append)
    after = weights(again.path)
    assert (seen, again.metrics) == ([], first.metrics)
    assert all(torch.equal(before[name], after[name]) for name in before)


def test_running_out_of_memory_names_the_last_good_checkpoint(
    policy: Path, revisions: Path, tmp_path: Path
) -> None:
    import torch

    def progress(update: TrainProgress) -> None:
        if update.step == 3:
            raise torch.OutOfMemoryError("CUDA out of memory")

    job = TrainJob(model=policy, data=revisions, output=tmp_path)
    with pytest.raises(TrainingError, match=r"out of memory; the last good checkpoint is \S+checkpoint-2\n"):
        SFT(SFTOptions(batch_size=8, save_steps=2)).train(job, progress)


@pytest.mark.parametrize("file", ["optimizer.pt", "trainer_state.json", "rng_state.pth"])
def test_a_full_disk_while_a_checkpoint_is_saved_names_the_one_before(
    file: str, policy: Path, revisions: Path, tmp_path: Path
) -> None:
    """The kernel's own full device takes the place of one file of the second checkpoint."""

    def progress(update: TrainProgress) -> None:
        if update.step == 2:
            folder = tmp_path / "checkpoints" / "checkpoint-2"
            folder.mkdir()
            (folder / file).symlink_to("/dev/full")

    job = TrainJob(model=policy, data=revisions, output=tmp_path)
    options = SFTOptions(batch_size=8, save_steps=1)
    with pytest.raises(
        TrainingError, match=r"the disk is full; the last good checkpoint is \S+checkpoint-1\n"
    ):
        SFT(options).train(job, progress)
    resumed: list[TrainProgress] = []
    SFT(options).train(job, resumed.append)
    assert [update.step for update in resumed] == [2, 3]


@pytest.fixture(params=["200k", "600k"])
def small_disk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """A file system with room for less than the first checkpoint's weights, or for little more."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", f"size={request.param}", "tmpfs", str(disk)]
    if os.geteuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a small file system cannot be mounted here")
    yield disk
    subprocess.run(["umount", "--lazy", str(disk)], check=True)  # the error's traceback holds an open file


def test_a_disk_that_is_really_full(policy: Path, revisions: Path, small_disk: Path) -> None:
    job = TrainJob(model=policy, data=revisions, output=small_disk / "out")
    with pytest.raises(TrainingError, match="the disk is full; no checkpoint was saved yet") as caught:
        SFT(SFTOptions(batch_size=8, save_steps=1)).train(job, lambda _: None)
    assert f"make room on the disk of {small_disk / 'out'}" in str(caught.value)


def test_errors_that_are_not_of_the_disk_stay_as_they_are(
    policy: Path, revisions: Path, tmp_path: Path
) -> None:
    def progress(update: TrainProgress) -> None:
        raise ConnectionError("the reward server is gone")

    with pytest.raises(ConnectionError, match="the reward server is gone"):
        SFT(SFTOptions(batch_size=8)).train(TrainJob(model=policy, data=revisions, output=tmp_path), progress)


def test_a_checkpoint_of_more_processes_is_not_continued_by_one(
    policy: Path, revisions: Path, tmp_path: Path, kill_at: Any
) -> None:
    job, options = (
        TrainJob(model=policy, data=revisions, output=tmp_path),
        SFTOptions(batch_size=8, save_steps=1),
    )
    with pytest.raises(Exception, match="at step 2"):
        SFT(options).train(job, kill_at(2))
    complete = tmp_path / "checkpoints" / "checkpoint-1" / "complete.json"
    assert json.loads(complete.read_text()) == {"step": 1, "processes": 1}
    complete.write_text('{"step": 1, "processes": 2}')
    with pytest.raises(UsageError, match="was written by 2 processes, and 1 cannot continue it"):
        SFT(options).train(job, lambda _: None)
