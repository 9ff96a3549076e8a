"""The arguments of TRL's and PEFT's configurations that follow from our options."""

from __future__ import annotations

from typing import Any

import torch

from jurist.train_jobs import TrainJob
from jurist_trl.options import LoraOptions, SupervisedOptions, TrainingOptions
from jurist_trl.training.checkpoints import checkpoint_folder


def training_arguments(options: TrainingOptions, job: TrainJob) -> dict[str, Any]:
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
        **training_arguments(options, job),
        "per_device_train_batch_size": options.batch_size,
        "num_train_epochs": options.epochs,
        "max_steps": options.max_steps or -1,
        "save_steps": options.save_steps,
        "max_length": None,  # what is too long was left out, and counted, before
    }


def make_config(kind: type[Any], **arguments: Any) -> Any:
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
