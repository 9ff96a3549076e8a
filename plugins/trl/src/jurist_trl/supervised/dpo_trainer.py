"""Runs TRL's DPOTrainer, with a sigmoid loss that takes the probability of each preference."""

from __future__ import annotations

from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForCausalLM, set_seed
from trl import DPOConfig, DPOTrainer
from trl.trainer.dpo_trainer import DataCollatorForPreference

from jurist.errors import UsageError
from jurist.files.training_data import PreferenceRow, read_training_data
from jurist.train_jobs import Artifact, TrainJob
from jurist_trl.supervised.agreement import agreement, write_calibration
from jurist_trl.supervised.collation import KeepsProbability
from jurist_trl.supervised.dpo import DPO, DPOOptions
from jurist_trl.supervised.preferences import Pair, Pairs, sided, split_pairs
from jurist_trl.tokens import shared_length
from jurist_trl.training.arguments import lora_config, make_config, supervised_arguments
from jurist_trl.training.component import Progress
from jurist_trl.training.dropout import without_dropout
from jurist_trl.training.job_checks import SHORTER, check_length
from jurist_trl.training.model_card import Trained
from jurist_trl.training.prepare import prepare
from jurist_trl.training.saving import save_model
from jurist_trl.training.session import QuietTrainer, old_names, run_training

Row = dict[str, Any]


class SoftPairCollator(KeepsProbability, DataCollatorForPreference):  # type: ignore[misc]
    """Pads pairs as TRL does, and keeps their probability."""


class SoftDPOTrainer(QuietTrainer, DPOTrainer):  # type: ignore[misc]
    """TRL's DPOTrainer on token ids, with a loss for soft labels; its metrics stay as they are.

    With z = beta (log ratio of the chosen response - log ratio of the rejected one) and the probability p,
    the loss of a pair is -(p log s(z) + (1 - p) log s(-z)): conservative DPO with a smoothing of each
    pair's own (Mitchell 2023, "A note on DPO with noisy preferences and relationship to IPO").
    Its derivative in z is s(z) - p. As log s(-z) = log s(z) - z, it is TRL's sigmoid loss plus (1 - p) z.
    """

    def __init__(self, **arguments: Any) -> None:
        super().__init__(**arguments)
        self.precompute_ref_logps = True  # every batch has them: where TRL did not, `_compute_loss` does
        self.measured: list[tuple[torch.Tensor, torch.Tensor]] = []

    def _prepare_dataset(self, dataset: Any, processing_class: Any, args: Any, dataset_name: str) -> Any:
        return dataset  # its rows are token ids

    def _set_signature_columns_if_needed(self) -> None:
        columns = ["prompt_ids", "chosen_ids", "rejected_ids", "probability"]
        self._signature_columns = [*columns, "ref_chosen_logps", "ref_rejected_logps"]

    def _compute_loss(self, model: Any, inputs: Row, return_outputs: bool) -> Any:
        batch = {name: column for name, column in inputs.items() if name != "probability"}
        if "ref_chosen_logps" not in batch:
            reference = self.ref_model if self.ref_model is not None else self.model
            batch["ref_chosen_logps"], batch["ref_rejected_logps"] = self.compute_ref_log_probs(
                reference, batch
            )
        seen: list[torch.Tensor] = []
        hook = model.register_forward_hook(lambda _, __, output: seen.append(output.log_probs))
        try:
            loss = super()._compute_loss(model, batch, return_outputs)
        finally:
            hook.remove()
        chosen, rejected = seen[0].sum(dim=1).chunk(2)
        ratios = (chosen - batch["ref_chosen_logps"]) - (rejected - batch["ref_rejected_logps"])
        if not self.model.training:
            both = (self.beta * ratios.detach(), inputs["probability"])
            self.measured.append(self.accelerator.gather_for_metrics(both))
        return loss + ((1 - inputs["probability"]) * self.beta * ratios).mean()


@old_names()  # TRL uses them for the reference's log-probabilities, before and after training, too
def train_dpo(dpo: DPO, job: TrainJob, progress: Progress) -> Artifact:
    """Train the policy ``job.model`` on the preferences in ``job.data``."""
    options = dpo.options
    job, tokenizer = prepare(dpo, job)
    examples = read_training_data(job.data, PreferenceRow)
    labelled = examples if options.labels == "soft" else _sided(examples)
    pairs = split_pairs(
        tokenizer,
        labelled,
        max_length=options.max_length,
        eval_fraction=options.eval_fraction,
        seed=job.seed,
        provided_by=DPO.provided_by(),
    )
    check_length(dpo.name, job.model, pairs.longest, SHORTER)
    trainer = _trainer(job, options, tokenizer, pairs)
    metrics = run_training(trainer, job, progress) | pairs.counts()
    metrics["pairs_tied"] = float(len(examples) - len(labelled))
    if pairs.held_out:
        metrics |= _measured(trainer, job, options)
    trained = Trained(dpo.name, job, options, metrics)
    save_model(trainer, trainer.model, tokenizer, job.output / "model", trained=trained)
    return Artifact(kind="policy", path=job.output / "model", metrics=metrics)


def _sided(examples: list[PreferenceRow]) -> list[PreferenceRow]:
    found = sided(examples)
    if not found:
        raise UsageError(
            f"all {len(examples)} preferences have probability 0.5, so none has a hard label",
            provided_by=DPO.provided_by(),
            hint="set labels: soft, and loss_type: sigmoid",
        )
    return found


def _trainer(job: TrainJob, options: DPOOptions, tokenizer: Any, pairs: Pairs) -> SoftDPOTrainer:
    set_seed(job.seed)
    config = dpo_config(job, options)  # first, since it chooses this process's GPU
    policy = AutoModelForCausalLM.from_pretrained(job.model, dtype=options.dtype)
    return SoftDPOTrainer(
        model=without_dropout(policy),
        args=config,
        data_collator=SoftPairCollator(pad_token_id=tokenizer.pad_token_id),
        train_dataset=Dataset.from_list([_row(pair) for pair in pairs.train]),
        eval_dataset=Dataset.from_list([_row(pair) for pair in pairs.held_out]) if pairs.held_out else None,
        processing_class=tokenizer,
        peft_config=lora_config(options.lora, "CAUSAL_LM"),
    )


def dpo_config(job: TrainJob, options: DPOOptions) -> DPOConfig:
    """TRL's configuration of a training with these options."""
    config: DPOConfig = make_config(
        DPOConfig,
        **supervised_arguments(options, job),
        per_device_eval_batch_size=options.batch_size,
        beta=options.beta,
        loss_type=[options.loss_type],
        label_smoothing=options.label_smoothing,
        precompute_ref_log_probs=options.precompute_reference,
    )
    return config


def _row(pair: Pair) -> Row:
    """The columns of TRL's DPO; the responses begin where the conversations part from the prompt."""
    shared = min(shared_length(pair.prompt, pair.chosen), shared_length(pair.prompt, pair.rejected))
    return {
        "prompt_ids": pair.prompt[:shared],
        "chosen_ids": pair.chosen[shared:],
        "rejected_ids": pair.rejected[shared:],
        "probability": pair.probability,
    }


def _measured(trainer: SoftDPOTrainer, job: TrainJob, options: DPOOptions) -> dict[str, float]:
    """Agreement of the held-out pairs' z with their labels; only of the sigmoid loss is z a log-odds."""
    evaluated = trainer.evaluate()
    differences, labels = (torch.cat(column).cpu() for column in zip(*trainer.measured, strict=True))
    metrics = agreement(differences, labels) | {"eval_margin": differences.mean().item()}
    if options.loss_type != "sigmoid":
        return {
            "eval_loss": evaluated["eval_loss"],
            **{name: metrics[name] for name in ("eval_accuracy", "eval_margin")},
        }
    if trainer.accelerator.is_main_process:
        write_calibration(job.output / "calibration.json", differences, labels)
    return metrics
