"""What all trainers of this plugin do alike: arguments, progress, resuming, the final checkpoint."""

from __future__ import annotations

import errno
import math
import os
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from accelerate import PartialState
from safetensors import SafetensorError
from transformers import PrinterCallback, TrainerCallback

from jurist.errors import TrainingError
from jurist.files.folders import replacing
from jurist.train_jobs import TrainJob, TrainProgress
from jurist_trl.settings import LoraOptions, SupervisedOptions, TrainingOptions
from jurist_trl.training.checkpoints import (
    check_processes,
    checkpoint_folder,
    drop_incomplete,
    last_checkpoint,
    mark_complete,
)
from jurist_trl.training.metrics_log import MetricsLog
from jurist_trl.training.model_card import CARD, Trained, model_card
from jurist_trl.training.publishing import push

Progress = Callable[[TrainProgress], None]


TOO_FAST = "lower learning_rate or raise warmup, and train anew in another output folder"
LOSSES = ("loss", "grad_norm", "value_grad_norm")
TELLING = (
    *("raw_reward", "held_out_metric", "kl", "length"),
    *("loss", "accuracy", "rewards/accuracies", "mean_token_accuracy"),
)
"""The metrics that say most, in the order in which progress names them before all others."""
HELD_OUT = "held_out_"
"""How the names of metrics begin that were measured on the job's held-out prompts."""


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
        if "loss" not in logs and not any(name.startswith(HELD_OUT) for name in logs):
            return  # the summary at the end, neither a step nor a measurement
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
        """Everything of this checkpoint is written now, also by the other processes."""
        PartialState().wait_for_everyone()
        if state.is_world_process_zero:
            step = state.global_step
            folder = checkpoint_folder(self.job) / f"checkpoint-{step}"
            mark_complete(folder, step, args.world_size)


def failed(job: TrainJob, cause: str, hint: str) -> TrainingError:
    """The error of a training that cannot go on; names what can be gone back to."""
    last = last_checkpoint(job)
    kept = f"the last good checkpoint is {last}" if last else "no checkpoint was saved yet"
    return TrainingError(f"training stopped: {cause}; {kept}", provided_by="jurist-trl", hint=hint)


@contextmanager
def stopping(job: TrainJob) -> Iterator[None]:
    """Within it, running out of memory or of disk space stops the training with an error that says so."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise failed(
            job, "out of memory", "lower batch_size, or set lora or gradient_checkpointing"
        ) from error
    except (OSError, RuntimeError, SafetensorError) as error:
        if not _disk_full(error):
            raise
        hint = f"make room on the disk of {job.output} and run again: training continues"
        raise failed(job, "a file could not be written, the disk is full", hint) from error


def _disk_full(error: Exception) -> bool:
    """Whether this is what the writer of any kind of file says of a full disk."""
    if isinstance(error, OSError):
        return error.errno in (errno.ENOSPC, errno.EDQUOT)
    if isinstance(error, SafetensorError):
        return f"os error {errno.ENOSPC}" in str(error)
    return "iostream error" in f"{error} {error.__context__}"  # torch.save, which does not say why


def arguments(options: TrainingOptions, job: TrainJob) -> dict[str, Any]:
    """The Transformers arguments that follow from the options of any trainer."""
    cuda = torch.cuda.is_available()
    bf16 = options.bf16 if options.bf16 is not None else cuda and torch.cuda.is_bf16_supported()
    sharded: dict[str, Any] = {}
    if options.fsdp is not None:
        checkpointing = {"activation_checkpointing": options.gradient_checkpointing}
        sharded = {"fsdp": True, "fsdp_config": {**options.fsdp.model_dump(mode="json"), **checkpointing}}
    return {
        **sharded,
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
        "activation_checkpointing": options.gradient_checkpointing and options.fsdp is None,
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


def configured(kind: type[Any], **arguments: Any) -> Any:
    """TRL's configuration of the class ``kind``, for one GPU of each process.

    Where one process sees several, Transformers would split batches over them, which TRL refuses.
    """
    config = kind(**arguments)
    if config.world_size == 1:
        config._n_gpu = min(config.n_gpu, 1)
    return config


def lora_config(lora: LoraOptions | None, task: str) -> Any:
    """The PEFT configuration of the ``lora`` option, or None."""
    if lora is None:
        return None
    from peft import LoraConfig

    modules = lora.target_modules if isinstance(lora.target_modules, str) else list(lora.target_modules)
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=modules,
        task_type=task,
    )


@contextmanager
def old_names() -> Iterator[None]:
    """Within it, TRL 1.16 may use the names that Transformers 5.23 replaced by activation_checkpointing."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", r"`\w*gradient_checkpointing\w*` is deprecated", FutureWarning)
        yield


def run(
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


def save_model(
    trainer: Any, model: Any, tokenizer: Any, folder: Path, *, trained: Trained | None = None
) -> None:
    """Write a checkpoint that plain Transformers loads; adapters are merged into it.

    Of the model that ``trained`` tells of, a card is written, too; with ``push_to_hub``, it is uploaded.
    """
    accelerator = trainer.accelerator
    plain = accelerator.unwrap_model(model)
    if hasattr(plain, "merge_and_unload"):
        plain = plain.merge_and_unload()  # in every process, since each may hold a share of the weights
    state = accelerator.get_state_dict(plain)
    if not accelerator.is_main_process:
        return
    with replacing(folder) as partial:
        plain.save_pretrained(partial, state_dict=state)
        tokenizer.save_pretrained(partial)
        if trained is not None:
            (partial / CARD).write_text(model_card(trained), encoding="utf-8")
    if trained is not None and trained.options.push_to_hub is not None:
        push(folder, trained.options.push_to_hub)
