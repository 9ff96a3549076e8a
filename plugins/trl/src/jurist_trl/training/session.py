"""A training from its last checkpoint to the end: what is logged, told and saved on the way."""

from __future__ import annotations

import math
import os
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from accelerate import PartialState
from transformers import PrinterCallback, TrainerCallback

from jurist.train_jobs import TrainJob, TrainProgress
from jurist.training.metrics_log import MetricsLog
from jurist_trl.training.checkpoints import (
    check_processes,
    checkpoint_folder,
    drop_incomplete,
    last_checkpoint,
    mark_complete,
)
from jurist_trl.training.component import Progress
from jurist_trl.training.failures import TOO_FAST, failed

LOSSES = ("loss", "grad_norm", "value_grad_norm")
TELLING = (
    *("raw_reward", "held_out_metric", "kl", "length"),
    *("loss", "accuracy", "rewards/accuracies", "mean_token_accuracy"),
)
"""The metrics that say most, in the order in which progress names them before all others."""
HELD_OUT = "held_out_"
"""How the names of metrics begin that were measured on the job's held-out prompts."""


class QuietTrainer:
    """Mixin for TRL trainers: no telemetry, no model cards, and no step after the last."""

    state: Any

    def _run_epoch(self, **arguments: Any) -> None:
        # Trainer, continuing from the checkpoint of the last step, would take one more within its epoch
        if self.state.global_step < self.state.max_steps:
            super()._run_epoch(**arguments)  # type: ignore[misc]

    def _send_telemetry(self) -> None:
        pass

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write nothing: the finished model gets a card of our own, and checkpoints need none."""


class Watch(TrainerCallback):  # type: ignore[misc]
    """Reports progress, writes the metrics log, marks checkpoints, stops at a loss that is no number."""

    def __init__(self, job: TrainJob, progress: Progress, log: MetricsLog) -> None:
        self.job = job
        self.progress = progress
        self.log = log

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **kwargs: Any) -> None:
        """Pass on what was measured."""
        if "loss" not in logs and not any(name.startswith(HELD_OUT) for name in logs):
            return  # the summary at the end, neither a step nor a measurement
        bad = [name for name in LOSSES if not _is_finite(logs.get(name, 0.0))]
        if bad:
            cause = f"{' and '.join(bad)} is not a finite number at step {state.global_step}"
            raise failed(self.job, cause, TOO_FAST)
        metrics = {name: float(value) for name, value in logs.items() if isinstance(value, int | float)}
        self.log.append(state.global_step, metrics)
        if state.is_world_process_zero:
            ordered = {name: metrics[name] for name in TELLING if name in metrics} | metrics
            self.progress(TrainProgress(step=state.global_step, total=state.max_steps, metrics=ordered))

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Everything of this checkpoint is written now, also by the other processes."""
        PartialState().wait_for_everyone()
        if state.is_world_process_zero:
            step = state.global_step
            folder = checkpoint_folder(self.job) / f"checkpoint-{step}"
            mark_complete(folder, step, args.world_size)


def _is_finite(value: float | None) -> bool:
    """Whether it is; TRL logs None where all of a step's values are no number."""
    return value is not None and math.isfinite(value)


@contextmanager
def old_names() -> Iterator[None]:
    """Within it, TRL 1.16 may use the names that Transformers 5.23 replaced by activation_checkpointing."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`\w*gradient_checkpointing\w*` is deprecated", FutureWarning)
        yield


def run_training(
    trainer: Any, job: TrainJob, progress: Progress, *, callbacks: Sequence[TrainerCallback] = ()
) -> dict[str, float]:
    """Train to the end, from the last complete checkpoint if there is one; the newest of each metric.

    ``callbacks`` are told of everything before the metrics log is, so what they add to a step's ``logs`` is
    in it. What they give to ``trainer.log`` before the first step is, too, where names begin with
    ``held_out_``; later, that would take the place of the step's own log.
    """
    last = last_checkpoint(job)
    if last is not None:
        check_processes(last, trainer.accelerator.num_processes)
    if trainer.accelerator.is_main_process:
        drop_incomplete(job)
    trainer.accelerator.wait_for_everyone()
    resumed = int(last.name.rpartition("-")[2]) if last else 0
    writes = trainer.accelerator.is_main_process
    watch = Watch(job, progress, MetricsLog(job.output / "metrics.jsonl", resumed, writes=writes))
    # TRL's trainers on a fixed dataset count num_tokens here, and leave it out of their checkpoints
    trainer._total_train_tokens = int(watch.log.newest.get("num_tokens", 0))
    trainer.remove_callback(PrinterCallback)
    for callback in (*callbacks, watch):
        trainer.add_callback(callback)
    try:
        with old_names():
            trainer.train(resume_from_checkpoint=str(last) if last else None)
    finally:
        if trainer.args.fsdp:
            os.environ.pop("ACCELERATE_USE_FSDP", None)  # or the next training in this process shards, too
    return {"steps": float(trainer.state.global_step), **watch.log.newest}
