"""Batches of preferences that keep how sure the judges were of each."""

from __future__ import annotations

from typing import Any

import torch


class KeepsProbability:
    """Mixin for TRL's collators of preferences, which drop a column that they do not know."""

    def torch_call(self, examples: list[dict[str, Any]]) -> dict[str, Any]:
        """One batch: all chosen responses, then all rejected ones; and their probabilities."""
        batch: dict[str, Any] = super().torch_call(examples)  # type: ignore[misc]
        batch["probability"] = torch.tensor([e["probability"] for e in examples], dtype=torch.float32)
        return batch
