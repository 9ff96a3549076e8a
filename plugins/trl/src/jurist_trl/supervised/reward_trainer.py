"""Runs TRL's RewardTrainer with a loss that takes the probability of each preference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForSequenceClassification, set_seed
from transformers.modeling_outputs import SequenceClassifierOutput
from trl import RewardConfig, RewardTrainer
from trl.trainer.reward_trainer import DataCollatorForPreference

from jurist.errors import UsageError
from jurist.files.training_data import PreferenceRow, RevisionRow, read_training_data
from jurist.train_jobs import Artifact, TrainJob
from jurist_trl.reward_model import last_token_logits, score_ids
from jurist_trl.score_head import forget_normalization, normalize_head
from jurist_trl.supervised.agreement import agreement, soft_preference_loss, write_calibration
from jurist_trl.supervised.collation import KeepsProbability
from jurist_trl.supervised.preferences import Pair, split_pairs
from jurist_trl.supervised.reward import Reward, RewardOptions
from jurist_trl.tokens import conversation_ids, messages
from jurist_trl.training.arguments import lora_config, make_config, supervised_arguments
from jurist_trl.training.component import Progress
from jurist_trl.training.dropout import without_dropout
from jurist_trl.training.job_checks import SHORTER, check_length
from jurist_trl.training.model_card import Trained
from jurist_trl.training.prepare import prepare
from jurist_trl.training.saving import save_model
from jurist_trl.training.session import QuietTrainer, run_training

Row = dict[str, Any]


class SoftPreferenceCollator(KeepsProbability, DataCollatorForPreference):  # type: ignore[misc]
    """Pads pairs as TRL does, margins included, and keeps their probability."""


class SoftPreferenceTrainer(QuietTrainer, RewardTrainer):  # type: ignore[misc]
    """TRL's RewardTrainer with the soft-label loss, on the score at the last token; its metrics stay."""

    def _set_signature_columns_if_needed(self) -> None:
        self._signature_columns = ["chosen_ids", "rejected_ids", "margin", "probability"]

    def compute_loss(
        self, model: Any, inputs: Row, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The soft-label loss of one batch."""

        def scored(input_ids: torch.Tensor, attention_mask: torch.Tensor, **_: Any) -> Any:
            return SequenceClassifierOutput(logits=last_token_logits(model, input_ids, attention_mask))

        probabilities, margins = inputs.pop("probability"), inputs.pop("margin")
        _, outputs = super().compute_loss(scored, inputs, True, num_items_in_batch)
        chosen, rejected = torch.chunk(outputs.logits.squeeze(-1).float(), chunks=2)
        loss = soft_preference_loss(chosen - rejected, probabilities, margins)
        if self.args.center_rewards_coefficient is not None:
            loss = loss + self.args.center_rewards_coefficient * torch.mean((chosen + rejected) ** 2)
        return (loss, outputs) if return_outputs else loss


def train_reward_model(reward: Reward, job: TrainJob, progress: Progress) -> Artifact:
    """Train a reward model from ``job.model`` on the preferences in ``job.data``."""
    options = reward.options
    job, tokenizer = prepare(reward, job)
    pairs = split_pairs(
        tokenizer,
        read_training_data(job.data, PreferenceRow),
        max_length=options.max_length,
        eval_fraction=options.eval_fraction,
        seed=job.seed,
        provided_by=Reward.provided_by(),
    )
    references = _references(tokenizer, options, pairs.train)
    check_length(reward.name, job.model, max(pairs.longest, *map(len, references)), SHORTER)
    trainer = _trainer(job, options, tokenizer, pairs.train)
    metrics = run_training(trainer, job, progress) | pairs.counts()
    model = trainer.model.eval()
    if pairs.held_out:
        differences = _differences(model, tokenizer, pairs.held_out, options.batch_size)
        labels = torch.tensor([pair.probability for pair in pairs.held_out])
        metrics |= agreement(differences, labels)
        if trainer.accelerator.is_main_process:
            write_calibration(job.output / "calibration.json", differences, labels)
    if options.normalize:
        metrics["references"] = float(len(references))
        scores = score_ids(model, references, tokenizer.pad_token_id, 2 * options.batch_size)
        mean, deviation = normalize_head(model, scores, provided_by=reward.provided_by())
        model.config.jurist_reward_std = deviation  # times a difference of scores: the log-odds learnt
        metrics |= {"reward_mean": mean, "reward_std": deviation}
    trained = Trained(reward.name, job, options, metrics)
    save_model(trainer, model, tokenizer, job.output / "model", trained=trained)
    return Artifact(kind="reward_model", path=job.output / "model", metrics=metrics)


def _trainer(
    job: TrainJob, options: RewardOptions, tokenizer: Any, pairs: Sequence[Pair]
) -> SoftPreferenceTrainer:
    set_seed(job.seed)  # the score head is new, so it is drawn here
    model = AutoModelForSequenceClassification.from_pretrained(job.model, num_labels=1, dtype=options.dtype)
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    forget_normalization(model)
    rows = [
        {
            "chosen_ids": pair.chosen,
            "rejected_ids": pair.rejected,
            "probability": pair.probability,
            "margin": pair.margin,
        }
        for pair in pairs
    ]
    return SoftPreferenceTrainer(
        model=without_dropout(model),
        args=make_config(
            RewardConfig,
            **supervised_arguments(options, job),
            center_rewards_coefficient=options.center_rewards_coefficient,
        ),
        data_collator=SoftPreferenceCollator(pad_token_id=tokenizer.pad_token_id),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=lora_config(options.lora, "SEQ_CLS"),
    )


def _references(tokenizer: Any, options: RewardOptions, pairs: Sequence[Pair]) -> list[list[int]]:
    """What the scores are normalised on: the reference responses, else the responses trained on."""
    if options.reference is None:
        return [ids for pair in pairs for ids in (pair.chosen, pair.rejected)]
    examples = read_training_data(options.reference, RevisionRow)
    whole = [conversation_ids(tokenizer, messages(each.prompt + each.completion)) for each in examples]
    kept = [ids for ids in whole if len(ids) <= options.max_length]
    if not kept:
        raise UsageError(
            f"none of the {len(whole)} references has at most {options.max_length} tokens",
            provided_by=Reward.provided_by(),
            hint="raise the option max_length, or leave reference out",
        )
    return kept


def _differences(model: Any, tokenizer: Any, pairs: Sequence[Pair], batch_size: int) -> torch.Tensor:
    """r_chosen - r_rejected of each pair, shape (pairs,)."""
    ids = [pair.chosen for pair in pairs] + [pair.rejected for pair in pairs]
    chosen, rejected = score_ids(model, ids, tokenizer.pad_token_id, 2 * batch_size).chunk(2)
    return chosen - rejected
