"""What all trainers of this plugin do alike: arguments, progress, resuming, the final checkpoint."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from transformers import PrinterCallback, TrainerCallback

from jurist.contracts import TrainJob, TrainProgress
from jurist.errors import TrainingError, UsageError
from jurist.files.folders import replacing
from jurist_trl.checkpoints import (
    checkpoint_folder,
    drop_incomplete,
    last_checkpoint,
    mark_complete,
)
from jurist_trl.metrics_log import MetricsLog
from jurist_trl.settings import LoraOptions, SupervisedOptions, TrainingOptions

Progress = Callable[[TrainProgress], None]


TOO_FAST = "lower learning_rate or raise warmup, and train anew in another output folder"
LOSSES = ("loss", "grad_norm", "value_grad_norm")
TELLING = ("loss", "reward", "raw_reward", "kl", "length", "accuracy", "mean_token_accuracy")
"""The metrics that say most, in the order in which progress names them before all others."""


class QuietTrainer:
    """Mixin for TRL trainers: no telemetry and no model cards."""

    def _send_telemetry(self) -> None:
        pass

    def create_model_card(self, *args: Any, **kwargs: Any) -> None:
        """Write nothing: a checkpoint of a run is described by the run's own report."""


class Watch(TrainerCallback):  # type: ignore[misc]
    """Reports progress, writes the metrics log, marks checkpoints, stops at a loss that is no number."""

    def __init__(self, job: TrainJob, progress: Progress, log: MetricsLog) -> None:
        self.job = job
        self.progress = progress
        self.log = log

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **kwargs: Any) -> None:
        """Pass on what was measured."""
        if "loss" not in logs:  # the summary at the end, not a step
            return
        bad = [name for name in LOSSES if not math.isfinite(logs.get(name, 0.0))]
        if bad:
            cause = f"{' and '.join(bad)} is not a finite number at step {state.global_step}"
            raise failed(self.job, cause, TOO_FAST)
        metrics = {name: float(value) for name, value in logs.items() if isinstance(value, int | float)}
        self.log.append(state.global_step, metrics)
        if state.is_world_process_zero:
            ordered = {name: metrics[name] for name in TELLING if name in metrics} | metrics
            self.progress(TrainProgress(step=state.global_step, total=state.max_steps, metrics=ordered))

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Everything of this checkpoint is written now."""
        if state.is_world_process_zero:
            step = state.global_step
            mark_complete(checkpoint_folder(self.job) / f"checkpoint-{step}", step)


def failed(job: TrainJob, cause: str, hint: str) -> TrainingError:
    """The error of a training that cannot go on; names what can be gone back to."""
    last = last_checkpoint(job)
    kept = f"the last good checkpoint is {last}" if last else "no checkpoint was saved yet"
    return TrainingError(f"training stopped: {cause}; {kept}", provided_by="jurist-trl", hint=hint)


def arguments(options: TrainingOptions, job: TrainJob) -> dict[str, Any]:
    """The Transformers arguments that follow from the options of any trainer."""
    cuda = torch.cuda.is_available()
    bf16 = options.bf16 if options.bf16 is not None else cuda and torch.cuda.is_bf16_supported()
    return {
        "output_dir": str(checkpoint_folder(job)),
        "seed": job.seed,
        "data_seed": job.seed,
        "learning_rate": options.learning_rate,
        "lr_scheduler_type": options.lr_scheduler,
        "warmup_steps": options.warmup,
        "weight_decay": options.weight_decay,
        "adam_epsilon": options.adam_epsilon,
        "max_grad_norm": options.max_grad_norm,
        "gradient_accumulation_steps": options.gradient_accumulation_steps,
        "activation_checkpointing": options.gradient_checkpointing,
        "gradient_checkpointing": None,  # the old name of the same argument; TRL turns it on by default
        "bf16": bf16,
        "use_cpu": not cuda,
        "dataloader_pin_memory": cuda,
        "save_strategy": "steps",
        "save_total_limit": options.save_total_limit,
        "logging_steps": 1,
        "logging_nan_inf_filter": False,
        "report_to": list(options.report_to) or "none",
        "disable_tqdm": True,
    }


def supervised_arguments(options: SupervisedOptions, job: TrainJob) -> dict[str, Any]:
    """The same for a trainer on a fixed dataset."""
    return {
        **arguments(options, job),
        "per_device_train_batch_size": options.batch_size,
        "num_train_epochs": options.epochs,
        "max_steps": options.max_steps or -1,
        "save_steps": options.save_steps,
        "max_length": None,  # what is too long was left out, and counted, before
    }


def lora_config(lora: LoraOptions | None, task: str) -> Any:
    """The PEFT configuration of the ``lora`` option, or None.

    Raises:
        UsageError: PEFT is not installed.
    """
    if lora is None:
        return None
    try:
        from peft import LoraConfig
    except ImportError as error:
        raise UsageError(
            "option lora needs the package peft", cause=error, hint="pip install 'jurist-trl[lora]'"
        ) from error
    modules = lora.target_modules if isinstance(lora.target_modules, str) else list(lora.target_modules)
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=modules,
        task_type=task,
    )


def run(trainer: Any, job: TrainJob, progress: Progress) -> dict[str, float]:
    """Train to the end, from the last complete checkpoint if there is one; the newest of each metric."""
    last = last_checkpoint(job)
    if trainer.accelerator.is_main_process:
        drop_incomplete(job)
    trainer.accelerator.wait_for_everyone()
    resumed = int(last.name.rpartition("-")[2]) if last else 0
    writes = trainer.accelerator.is_main_process
    watch = Watch(job, progress, MetricsLog(job.output / "metrics.jsonl", resumed, writes=writes))
    trainer.remove_callback(PrinterCallback)
    trainer.add_callback(watch)
    with warnings.catch_warnings():
        # TRL 1.16 still uses the names that Transformers 5.23 has replaced by activation_checkpointing
        warnings.filterwarnings("ignore", r"`\w*gradient_checkpointing\w*` is deprecated", FutureWarning)
        try:
            trainer.train(resume_from_checkpoint=str(last) if last else None)
        except torch.OutOfMemoryError as error:
            raise failed(
                job, "out of memory", "lower batch_size, or set lora or gradient_checkpointing"
            ) from error
    return {"steps": float(trainer.state.global_step), **watch.log.newest}


def save_model(trainer: Any, model: Any, tokenizer: Any, folder: Path) -> None:
    """Write a checkpoint that plain Transformers loads; adapters are merged into it."""
    accelerator = trainer.accelerator
    state = accelerator.get_state_dict(model)
    plain = accelerator.unwrap_model(model)
    if not accelerator.is_main_process:
        return
    if hasattr(plain, "merge_and_unload"):
        plain, state = plain.merge_and_unload(), None
    with replacing(folder) as partial:
        plain.save_pretrained(partial, state_dict=state)
        tokenizer.save_pretrained(partial)
