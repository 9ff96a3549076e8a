"""Runs TRL's SFTTrainer."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from datasets import Dataset
from transformers import AutoModelForCausalLM, set_seed
from trl import SFTConfig, SFTTrainer

from jurist.errors import UsageError
from jurist.files.training_data import RevisionRow, read_training_data
from jurist.train_jobs import Artifact, TrainJob
from jurist_trl.supervised.sft import SFT, SFTOptions
from jurist_trl.tokens import completion_labels, conversation_ids, messages, prompt_ids
from jurist_trl.training.arguments import lora_config, make_config, supervised_arguments
from jurist_trl.training.component import Progress
from jurist_trl.training.job_checks import SHORTER, check_length
from jurist_trl.training.model_card import Trained
from jurist_trl.training.prepare import prepare
from jurist_trl.training.saving import save_model
from jurist_trl.training.session import QuietTrainer, run_training


class QuietSFTTrainer(QuietTrainer, SFTTrainer):  # type: ignore[misc]
    """TRL's SFTTrainer without telemetry and model cards."""


def train_sft(sft: SFT, job: TrainJob, progress: Progress) -> Artifact:
    """Fine-tune ``job.model`` on the revisions in ``job.data`` and the conversations in ``job.mixed``."""
    options = sft.options
    job, tokenizer = prepare(sft, job)
    revisions = _read(tokenizer, job.data, "revisions", options)
    mixed = Rows([], 0) if job.mixed is None else _read(tokenizer, job.mixed, "mixed conversations", options)
    rows = [*revisions.kept, *mixed.kept]
    check_length(sft.name, job.model, max(len(row["input_ids"]) for row in rows), SHORTER)
    set_seed(job.seed)
    trainer = QuietSFTTrainer(
        model=AutoModelForCausalLM.from_pretrained(job.model, dtype=options.dtype),
        args=make_config(SFTConfig, **supervised_arguments(options, job)),
        train_dataset=Dataset.from_list(rows),  # each epoch draws a new order
        processing_class=tokenizer,
        peft_config=lora_config(options.lora, "CAUSAL_LM"),
    )
    metrics = run_training(trainer, job, progress)
    counts = {"revisions": len(revisions.kept), "revisions_too_long": revisions.too_long}
    if job.mixed is not None:
        counts |= {"mixed": len(mixed.kept), "mixed_too_long": mixed.too_long}
    metrics |= {name: float(count) for name, count in counts.items()}
    trained = Trained(sft.name, job, options, metrics)
    save_model(trainer, trainer.model, tokenizer, job.output / "model", trained=trained)
    return Artifact(kind="policy", path=job.output / "model", metrics=metrics)


class Rows(NamedTuple):
    """Tokenised examples, and how many had too many tokens."""

    kept: list[dict[str, list[int]]]
    too_long: int


def _read(tokenizer: Any, path: Path, what: str, options: SFTOptions) -> Rows:
    rows = [_tokenized(tokenizer, example) for example in read_training_data(path, RevisionRow)]
    kept = [row for row in rows if len(row["input_ids"]) <= options.max_length]
    if not kept:
        raise UsageError(
            f"none of the {len(rows)} {what} has at most {options.max_length} tokens",
            provided_by=SFT.provided_by(),
            hint="raise the option max_length",
        )
    return Rows(kept, len(rows) - len(kept))


def _tokenized(tokenizer: Any, example: RevisionRow) -> dict[str, list[int]]:
    whole = conversation_ids(tokenizer, messages(example.prompt + example.completion))
    prompt = prompt_ids(tokenizer, messages(example.prompt))
    return {"input_ids": whole, "labels": completion_labels(prompt, whole)}
