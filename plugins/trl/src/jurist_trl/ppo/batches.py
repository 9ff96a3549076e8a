"""Token ids of prompts and responses as PPO's batches."""

from __future__ import annotations

import torch
from torch import Tensor
from trl.trainer.utils import pad

Batch = dict[str, Tensor]


def padded(prompts: list[list[int]], responses: list[list[int]], pad_id: int, device: torch.device) -> Batch:
    """Token ids and masks: prompts padded on the left, responses on the right.

    Masks follow lengths and not token ids, so a padding token that is the end token does no harm.
    """
    columns: Batch = {}
    for name, rows, side in (("prompt", prompts, "left"), ("completion", responses, "right")):
        ids = [torch.tensor(row, device=device) for row in rows]
        columns[f"{name}_ids"] = pad(ids, pad_id, side)
        columns[f"{name}_mask"] = pad([torch.ones_like(row) for row in ids], 0, side)
    return columns


def joined(batch: Batch) -> tuple[Tensor, Tensor]:
    """Prompts and responses as one batch of token ids, and its attention mask."""
    ids = torch.cat([batch["prompt_ids"], batch["completion_ids"]], dim=1)
    return ids, torch.cat([batch["prompt_mask"], batch["completion_mask"]], dim=1)


def micro_batches(batch: Batch, size: int) -> list[Batch]:
    """The batch in parts of ``size`` rows."""
    rows = len(batch["prompt_ids"])
    return [{name: column[i : i + size] for name, column in batch.items()} for i in range(0, rows, size)]
