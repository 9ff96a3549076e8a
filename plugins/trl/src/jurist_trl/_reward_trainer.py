"""Runs TRL's RewardTrainer with a loss that takes the probability of each preference."""

from __future__ import annotations

import hashlib
import json
from typing import Any, NamedTuple

import torch
from datasets import Dataset
from torch.nn.functional import logsigmoid
from transformers import AutoModelForSequenceClassification, set_seed
from trl import RewardConfig, RewardTrainer
from trl.trainer.reward_trainer import DataCollatorForPreference

from jurist.contracts import Artifact, TrainJob
from jurist.errors import UsageError
from jurist_trl._session import (
    Progress,
    QuietTrainer,
    lora_config,
    run,
    save_model,
    supervised_arguments,
)
from jurist_trl.examples import PreferencePair, messages, read_examples
from jurist_trl.hub import with_local_models
from jurist_trl.reward import RewardOptions
from jurist_trl.scoring import normalize_head, score_ids
from jurist_trl.tokens import conversation_ids, load_tokenizer

Row = dict[str, Any]


class Pairs(NamedTuple):
    """Tokenised preferences: to train on, held out, and how many were too long."""

    train: list[Row]
    held_out: list[Row]
    too_long: int


def soft_preference_loss(margins: torch.Tensor, probabilities: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of a Bradley-Terry model with soft labels.

    -(p log s(d) + (1 - p) log s(-d)) with d = r_chosen - r_rejected; its derivative in d is s(d) - p.

    Args:
        margins: d, shape (batch,).
        probabilities: p = P(chosen is better), shape (batch,).
    """
    terms = probabilities * logsigmoid(margins) + (1 - probabilities) * logsigmoid(-margins)
    return -terms.mean()


class SoftPreferenceCollator(DataCollatorForPreference):  # type: ignore[misc]
    """Pads pairs as TRL does, and keeps their probability."""

    def torch_call(self, examples: list[Row]) -> Row:
        """One batch: all chosen responses, then all rejected ones."""
        batch: Row = super().torch_call(examples)
        batch["probability"] = torch.tensor([e["probability"] for e in examples], dtype=torch.float32)
        return batch


class SoftPreferenceTrainer(QuietTrainer, RewardTrainer):  # type: ignore[misc]
    """TRL's RewardTrainer with the soft-label loss; its metrics stay as they are."""

    def _set_signature_columns_if_needed(self) -> None:
        self._signature_columns = ["chosen_ids", "rejected_ids", "probability"]

    def compute_loss(
        self, model: Any, inputs: Row, return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """The soft-label loss of one batch."""
        probabilities = inputs.pop("probability")
        _, outputs = super().compute_loss(model, inputs, True, num_items_in_batch)
        chosen, rejected = torch.chunk(outputs.logits.squeeze(-1).float(), chunks=2)
        loss = soft_preference_loss(chosen - rejected, probabilities)
        if self.args.center_rewards_coefficient is not None:
            loss = loss + self.args.center_rewards_coefficient * torch.mean((chosen + rejected) ** 2)
        return (loss, outputs) if return_outputs else loss


def train_reward_model(job: TrainJob, options: RewardOptions, progress: Progress) -> Artifact:
    """Train a reward model from ``job.model`` on the preferences in ``job.data``."""
    job = with_local_models(job)
    tokenizer = load_tokenizer(job.model)
    pairs = _pairs(tokenizer, read_examples(job.data, PreferencePair), job, options)
    trainer = _trainer(job, options, tokenizer, pairs.train)
    metrics = run(trainer, job, progress)
    model = trainer.accelerator.unwrap_model(trainer.model).eval()
    metrics |= {
        "pairs": float(len(pairs.train)),
        "pairs_held_out": float(len(pairs.held_out)),
        "pairs_too_long": float(pairs.too_long),
        **_agreement(model, tokenizer, pairs.held_out, options.batch_size),
    }
    if options.normalize:
        chosen, rejected = _scores(model, tokenizer, pairs.train, options.batch_size)
        mean, deviation = normalize_head(model, torch.cat([chosen, rejected]))
        metrics |= {"reward_mean": mean, "reward_std": deviation}
    save_model(trainer, trainer.model, tokenizer, job.output / "model")
    return Artifact(kind="reward_model", path=job.output / "model", metrics=metrics)


def _trainer(job: TrainJob, options: RewardOptions, tokenizer: Any, rows: list[Row]) -> SoftPreferenceTrainer:
    set_seed(job.seed)  # the score head is new, so it is drawn here
    model = AutoModelForSequenceClassification.from_pretrained(job.model, num_labels=1, dtype=options.dtype)
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    return SoftPreferenceTrainer(
        model=model,
        args=RewardConfig(
            **supervised_arguments(options, job),
            center_rewards_coefficient=options.center_rewards_coefficient,
        ),
        data_collator=SoftPreferenceCollator(pad_token_id=tokenizer.pad_token_id),
        train_dataset=Dataset.from_list(rows),
        processing_class=tokenizer,
        peft_config=lora_config(options.lora, "SEQ_CLS"),
    )


def _pairs(tokenizer: Any, examples: list[PreferencePair], job: TrainJob, options: RewardOptions) -> Pairs:
    """Tokenise, leave out what is too long, and hold out a share of the prompts (never of the pairs)."""
    train: list[Row] = []
    held_out: list[Row] = []
    for example in examples:
        row: Row = {
            "chosen_ids": conversation_ids(tokenizer, messages(example.prompt + example.chosen)),
            "rejected_ids": conversation_ids(tokenizer, messages(example.prompt + example.rejected)),
            "probability": example.probability,
        }
        if max(len(row["chosen_ids"]), len(row["rejected_ids"])) <= options.max_length:
            drawn = _uniform(job.seed, messages(example.prompt))
            (held_out if drawn < options.eval_fraction else train).append(row)
    too_long = len(examples) - len(train) - len(held_out)
    if not train:
        raise UsageError(
            f"no preference is left to train on: {too_long} of {len(examples)} have more than "
            f"{options.max_length} tokens, {len(held_out)} are held out",
            provided_by="jurist-trl (trl-reward)",
            hint="raise max_length, or lower eval_fraction",
        )
    return Pairs(train, held_out, too_long)


def _uniform(seed: int, prompt: list[dict[str, str]]) -> float:
    """A number in [0, 1) that depends on the seed and the prompt alone."""
    text = json.dumps([seed, prompt], sort_keys=True)
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 16**8


def _scores(
    model: Any, tokenizer: Any, rows: list[Row], batch_size: int
) -> tuple[torch.Tensor, torch.Tensor]:
    ids = [row["chosen_ids"] for row in rows] + [row["rejected_ids"] for row in rows]
    scores = score_ids(model, ids, tokenizer.pad_token_id, 2 * batch_size)
    chosen, rejected = scores.chunk(2)
    return chosen, rejected


def _agreement(model: Any, tokenizer: Any, rows: list[Row], batch_size: int) -> dict[str, float]:
    """Loss, and how often the likelier response scores higher (equal scores count half)."""
    decided = [row for row in rows if row["probability"] != 0.5]
    if not rows:
        return {}
    chosen, rejected = _scores(model, tokenizer, rows, batch_size)
    margins, labels = chosen - rejected, torch.tensor([row["probability"] for row in rows])
    metrics = {"eval_loss": soft_preference_loss(margins, labels).item()}
    if decided:
        sides = torch.sign(margins) * torch.sign(labels - 0.5)
        metrics["eval_accuracy"] = ((sides + 1) / 2)[labels != 0.5].mean().item()
    return metrics
