"""Options that all trainers of this plugin share, in the terms of TRL and Transformers."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from jurist.options import Operational, Options

Scheduler = Literal["linear", "cosine", "constant", "constant_with_warmup"]


class LoraOptions(Options):
    """Low-rank adapters instead of full fine-tuning; they are merged into the finished checkpoint."""

    rank: int = Field(default=16, ge=1)
    alpha: int = Field(default=32, ge=1)
    dropout: float = Field(default=0.0, ge=0, lt=1)
    target_modules: tuple[str, ...] | Literal["all-linear"] = "all-linear"


class FSDPOptions(Options):
    """Fully sharded data parallelism (PyTorch's FSDP2): each process holds a share of the model.

    ``cpu_offload`` keeps that share in main memory while it is not used. ``reshard_after_forward`` false
    keeps a layer whole between forward and backward pass: faster, for more memory. The layers to shard are
    those that the model names itself, unless ``transformer_layer_cls_to_wrap`` does.
    """

    cpu_offload: bool = False
    reshard_after_forward: bool = True
    transformer_layer_cls_to_wrap: tuple[str, ...] | None = None


class TrainingOptions(Options):
    """What every trainer can be told.

    ``batch_size`` counts examples per process and forward pass. ``warmup`` is a number of steps, or a
    share of all steps when below 1. ``save_steps`` counts optimizer steps. ``bf16`` None means: where
    the GPU can, never on a CPU. ``fsdp`` ({} is enough) takes a training in several processes.
    ``push_to_hub`` is the id of a repository, private unless it exists, that the finished model goes to.
    """

    keeps_dropout: ClassVar[bool] = False
    """Whether dropout works in this training; elsewhere two forward passes must not differ by chance."""

    learning_rate: float = Field(default=1e-5, gt=0)
    lr_scheduler: Scheduler = "linear"
    warmup: float = Field(default=0.0, ge=0)
    weight_decay: float = Field(default=0.0, ge=0)
    adam_epsilon: float = Field(default=1e-8, gt=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    batch_size: int = Field(default=8, ge=1)
    gradient_accumulation_steps: int = Field(default=1, ge=1)
    lora: LoraOptions | None = None
    dtype: Literal["float32", "bfloat16"] = "float32"
    bf16: bool | None = None
    gradient_checkpointing: bool = False
    fsdp: FSDPOptions | None = None
    save_steps: Annotated[int, Operational] = Field(default=100, ge=1)
    save_total_limit: Annotated[int, Operational] = Field(default=2, ge=2)
    report_to: Annotated[tuple[str, ...], Operational] = ()
    push_to_hub: Annotated[str | None, Operational] = Field(default=None, pattern=r"^[\w.-]+/[\w.-]+$")

    @model_validator(mode="after")
    def _dropout_has_an_effect(self) -> TrainingOptions:
        if self.lora is not None and self.lora.dropout and not self.keeps_dropout:
            raise ValueError("lora.dropout works in trl-sft alone, since this training turns dropout off")
        return self


class SupervisedOptions(TrainingOptions):
    """What trainers on a fixed dataset can be told besides.

    Examples of more than ``max_length`` tokens are left out and counted. ``max_steps``, when given,
    takes the place of ``epochs``.
    """

    epochs: float = Field(default=1.0, gt=0)
    max_steps: int | None = Field(default=None, ge=1)
    max_length: int = Field(default=1024, ge=2)
