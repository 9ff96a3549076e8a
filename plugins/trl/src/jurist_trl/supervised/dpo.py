"""A policy trained on preferences by direct preference optimisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import Field, model_validator

from jurist.options import Faults
from jurist.train_jobs import Artifact, JobOutline, TrainJob
from jurist_trl.options import SupervisedOptions
from jurist_trl.training.component import Progress, TRLTrainer

Loss = Literal[
    "sigmoid",
    "sigmoid_norm",
    "hinge",
    "ipo",
    "robust",
    "exo_pair",
    "nca_pair",
    "bco_pair",
    "sppo_hard",
    "aot",
    "aot_unpaired",
    "apo_zero",
    "apo_down",
    "discopop",
]
SMOOTHED = ("robust", "exo_pair", "aot", "aot_unpaired")
"""The losses that read ``label_smoothing``."""


class DPOOptions(SupervisedOptions):
    """Options of ``trl-dpo``.

    ``loss_type`` is one of TRL's losses. ``labels: soft`` gives the sigmoid loss the probability of each
    preference; ``hard`` takes the likelier response for the better one, and leaves out pairs of
    probability 1/2. ``label_smoothing`` is the share of labels taken to be wrong.
    ``precompute_reference`` computes the log-probabilities of the reference policy once, before training,
    so that it need not stay in memory. ``eval_fraction`` of the prompts is held out and only measured on.
    """

    learning_rate: float = Field(default=1e-6, gt=0)
    beta: float = Field(default=0.1, gt=0)
    loss_type: Loss = "sigmoid"
    labels: Literal["soft", "hard"] = "soft"
    label_smoothing: float = Field(default=0.0, ge=0, lt=0.5)
    precompute_reference: bool = False
    eval_fraction: float = Field(default=0.1, ge=0, lt=1)

    @model_validator(mode="after")
    def _loss_has_what_it_reads(self) -> DPOOptions:
        faults = []
        if self.labels == "soft" and self.loss_type != "sigmoid":
            faults.append(f"loss_type {self.loss_type} takes no probabilities: set labels: hard")
        if self.label_smoothing and self.loss_type not in SMOOTHED:
            faults.append(f"label_smoothing is read by loss_type {', '.join(SMOOTHED)} alone")
        if self.loss_type == "exo_pair" and not self.label_smoothing:
            faults.append("loss_type exo_pair needs a label_smoothing above 0, such as 0.001")
        if faults:
            raise Faults(faults)
        return self


class DPO(TRLTrainer):
    """Trains a policy on preferences without a reward model."""

    name = "trl-dpo"
    Options = DPOOptions
    options: DPOOptions
    consumes = "preferences"
    produces = "policy"

    def faults(self, outline: JobOutline) -> Sequence[str]:
        """Those of every trainer; and TRL keeps the reference's results in a file of each process."""
        found = [*super().faults(outline)]
        if self.options.precompute_reference and outline.processes > 1:
            found.append("precompute_reference works in one process alone: set it to false, or set lora")
        return found

    def _train(self, job: TrainJob, progress: Progress) -> Artifact:
        from jurist_trl.supervised.dpo_trainer import train_dpo

        return train_dpo(self, job, progress)
