"""A job made ready to be trained, or refused."""

from __future__ import annotations

import os
from typing import Any

from jurist.errors import UsageError
from jurist.train_jobs import TrainJob
from jurist_trl.tokens import load_tokenizer
from jurist_trl.training.component import TRLTrainer
from jurist_trl.training.hub import with_local_models
from jurist_trl.training.job_checks import vocabulary_faults
from jurist_trl.training.publishing import open_repository


def prepare(trainer: TRLTrainer, job: TrainJob) -> tuple[TrainJob, Any]:
    """The job with folders in place of hub ids, and its model's tokenizer.

    With the option ``push_to_hub``, the repository is made here.

    Raises:
        UsageError: it cannot succeed; lists every fault of the installation, the options and the model.
    """
    job = with_local_models(job)
    faults, hint = [*trainer.faults(trainer.outline(job))], None
    tokenizer: Any = None
    try:
        tokenizer = load_tokenizer(job.model)
        faults += vocabulary_faults(tokenizer, job.model)
    except UsageError as error:
        if not error.faults:
            raise
        faults, hint = [*faults, *error.faults], error.hint
    if faults:
        raise UsageError.of_faults(f"{trainer.name} (jurist-trl) cannot train {job.model}", faults, hint=hint)
    repository = trainer.options.push_to_hub
    if repository is not None and os.environ.get("RANK", "0") == "0":
        open_repository(repository)
    return job, tokenizer
