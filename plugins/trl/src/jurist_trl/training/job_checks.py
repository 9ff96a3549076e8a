"""What speaks against a training before it begins: all faults at once, and before a model is loaded."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jurist.errors import UsageError
from jurist.train_jobs import TrainJob
from jurist_trl.tokens import load_tokenizer, prompt_ids
from jurist_trl.trainer import TRLTrainer
from jurist_trl.training.hub import with_local_models
from jurist_trl.training.publishing import open_repository

SHORTER = "set max_length to what the model takes: longer examples are left out, and counted"
"""What to do where examples are too long for the model."""


def prepare(name: str, trainer: TRLTrainer, job: TrainJob) -> tuple[TrainJob, Any]:
    """The job with folders in place of hub ids, and its model's tokenizer.

    ``name`` is the trainer's, for errors. With the option ``push_to_hub``, the repository is
    made here.

    Raises:
        UsageError: it cannot succeed; lists every fault of the installation, the options and the model.
    """
    job = with_local_models(job)
    faults, hint = [*trainer.faults(trainer.outline(job))], None
    tokenizer: Any = None
    try:
        tokenizer = load_tokenizer(job.model)
        faults += _vocabulary_faults(tokenizer, job.model)
    except UsageError as error:
        if not error.faults:
            raise
        faults, hint = [*faults, *error.faults], error.hint
    if faults:
        raise UsageError.of_faults(f"{name} (jurist-trl) cannot train {job.model}", faults, hint=hint)
    repository = trainer.options.push_to_hub
    if repository is not None and os.environ.get("RANK", "0") == "0":
        open_repository(repository)
    return job, tokenizer


def check_length(trainer: str, model: Path, tokens: int, hint: str) -> None:
    """See to it that the longest sequence of a training fits the model.

    Raises:
        UsageError: it has more ``tokens`` than the model has positions.
    """
    positions = getattr(_text_config(model), "max_position_embeddings", None)
    if positions is not None and tokens > positions:
        raise UsageError(
            f"sequences of up to {tokens} tokens are too long for {model}, which takes {positions}",
            provided_by=f"jurist-trl ({trainer})",
            hint=hint,
        )


def check_rollouts(trainer: str, model: Path, prompt: int, response: int) -> None:
    """See to it that the longest prompt fits the model with the longest response that is allowed, in tokens.

    Raises:
        UsageError: it does not.
    """
    hint = "lower max_completion_length, or max_prompt_length: longer prompts are left out, and counted"
    check_length(trainer, model, prompt + response, hint)


def check_reward_model(trainer: str, model: Path, tokenizer: Any, prompts: list[Any], response: int) -> None:
    """See to it that the longest prompt fits a reward model with the longest response, in its own tokens.

    ``tokenizer`` is the policy's, whose tokens ``response`` counts. Where the reward model has others, the
    response is taken to have a quarter more of those.

    Raises:
        UsageError: it does not.
    """
    own = load_tokenizer(model)
    if own.get_vocab() != tokenizer.get_vocab():
        response = math.ceil(response * 1.25)
    longest = max(len(prompt_ids(own, prompt)) for prompt in prompts)
    hint = "lower max_completion_length or max_prompt_length, or take a reward model with a longer context"
    check_length(trainer, model, longest + response + 1, hint)  # and the end of a response that was cut off


def _text_config(model: Path) -> Any:
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(model).get_text_config()


def _vocabulary_faults(tokenizer: Any, model: Path) -> Iterator[str]:
    highest = max(tokenizer.get_vocab().values())
    rows = getattr(_text_config(model), "vocab_size", None)
    if rows is not None and highest >= rows:
        yield (
            f"the tokenizer has token ids up to {highest}, and the model knows {rows} tokens: take the "
            "tokenizer that belongs to it, or call model.resize_token_embeddings(len(tokenizer)) and save it"
        )
