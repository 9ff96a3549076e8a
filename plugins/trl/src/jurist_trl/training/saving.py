"""Finished models on disk."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jurist.files.folders import replacing
from jurist_trl.training.model_card import CARD, Trained, model_card
from jurist_trl.training.publishing import push


def save_model(
    trainer: Any, model: Any, tokenizer: Any, folder: Path, *, trained: Trained | None = None
) -> None:
    """Write a checkpoint that plain Transformers loads; adapters are merged into it.

    Of the model that ``trained`` tells of, a card is written, too; with ``push_to_hub``, it is uploaded.
    """
    accelerator = trainer.accelerator
    plain = accelerator.unwrap_model(model)
    if hasattr(plain, "merge_and_unload"):
        plain = plain.merge_and_unload()  # in every process, since each may hold a share of the weights
    state = accelerator.get_state_dict(plain)
    if not accelerator.is_main_process:
        return
    with replacing(folder) as partial:
        plain.save_pretrained(partial, state_dict=state)
        tokenizer.save_pretrained(partial)
        if trained is not None:
            (partial / CARD).write_text(model_card(trained), encoding="utf-8")
    if trained is not None and trained.options.push_to_hub is not None:
        push(folder, trained.options.push_to_hub)
