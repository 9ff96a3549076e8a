"""Runs TRL's SFTTrainer."""

from __future__ import annotations

from typing import Any

from datasets import Dataset
from transformers import AutoModelForCausalLM, set_seed
from trl import SFTConfig, SFTTrainer

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
from jurist_trl.examples import Revision, messages, read_examples
from jurist_trl.hub import with_local_models
from jurist_trl.sft import SFTOptions
from jurist_trl.tokens import completion_labels, conversation_ids, load_tokenizer, prompt_ids


class PolicyTrainer(QuietTrainer, SFTTrainer):  # type: ignore[misc]
    """TRL's SFTTrainer without telemetry and model cards."""


def train_policy(job: TrainJob, options: SFTOptions, progress: Progress) -> Artifact:
    """Fine-tune ``job.model`` on the revisions in ``job.data``."""
    job = with_local_models(job)
    tokenizer = load_tokenizer(job.model)
    rows = [_tokenized(tokenizer, example) for example in read_examples(job.data, Revision)]
    kept = [row for row in rows if len(row["input_ids"]) <= options.max_length]
    if not kept:
        raise UsageError(
            f"none of the {len(rows)} revisions has at most {options.max_length} tokens",
            provided_by="jurist-trl (trl-sft)",
            hint="raise the option max_length",
        )
    set_seed(job.seed)
    trainer = PolicyTrainer(
        model=AutoModelForCausalLM.from_pretrained(job.model, dtype=options.dtype),
        args=SFTConfig(**supervised_arguments(options, job)),
        train_dataset=Dataset.from_list(kept),
        processing_class=tokenizer,
        peft_config=lora_config(options.lora, "CAUSAL_LM"),
    )
    metrics = run(trainer, job, progress)
    save_model(trainer, trainer.model, tokenizer, job.output / "model")
    counts = {"revisions": float(len(kept)), "revisions_too_long": float(len(rows) - len(kept))}
    return Artifact(kind="policy", path=job.output / "model", metrics={**metrics, **counts})


def _tokenized(tokenizer: Any, example: Revision) -> dict[str, list[int]]:
    whole = conversation_ids(tokenizer, messages(example.prompt + example.completion))
    prompt = prompt_ids(tokenizer, messages(example.prompt))
    return {"input_ids": whole, "labels": completion_labels(prompt, whole)}
