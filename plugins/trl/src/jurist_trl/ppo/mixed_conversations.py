"""Conversations to learn from beside rewards: the pretraining mix of InstructGPT (2203.02155, equation 2)."""

from __future__ import annotations

import random
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from jurist.errors import UsageError
from jurist.files.training_data import RevisionRow, read_training_data
from jurist_trl.ppo.component import PPO
from jurist_trl.tokens import completion_labels, conversation_ids, messages, prompt_ids


class MixedConversations:
    """Conversations in a random order without end, which depends on the seed alone: any part can be had.

    ``too_long`` is how many were left out since they have more than ``max_length`` tokens.
    """

    def __init__(self, path: Path, tokenizer: Any, max_length: int, seed: int) -> None:
        self._rows: list[tuple[list[int], list[int]]] = []
        self._pad, self._seed = tokenizer.pad_token_id, seed
        self.too_long = 0
        for example in read_training_data(path, RevisionRow):
            ids = conversation_ids(tokenizer, messages(example.prompt + example.completion))
            labels = completion_labels(prompt_ids(tokenizer, messages(example.prompt)), ids)
            if len(ids) <= max_length:
                self._rows.append((ids, labels))
            else:
                self.too_long += 1
        if not self._rows:
            raise UsageError(
                f"none of the {self.too_long} mixed conversations in {path} has at most {max_length} tokens",
                provided_by=PPO.provided_by(),
                hint="raise max_prompt_length or max_completion_length",
            )
        self._order = lru_cache(maxsize=2)(self._shuffled)

    @property
    def longest(self) -> int:
        """Tokens of the longest conversation."""
        return max(len(ids) for ids, _ in self._rows)

    def batch(self, start: int, count: int) -> dict[str, Tensor]:
        """The ``count`` conversations from place ``start`` on: ids, mask and labels, padded on the right."""
        rows = [self._row(place) for place in range(start, start + count)]

        def padded(sequences: list[list[int]], value: int) -> Tensor:
            tensors = [torch.tensor(sequence) for sequence in sequences]
            return torch.nn.utils.rnn.pad_sequence(tensors, batch_first=True, padding_value=value)

        return {
            "input_ids": padded([ids for ids, _ in rows], self._pad),
            "attention_mask": padded([[1] * len(ids) for ids, _ in rows], 0),
            "labels": padded([labels for _, labels in rows], -100),
        }

    def losses(self, model: Any, start: int, count: int) -> tuple[Tensor, Tensor]:
        """The cross-entropy of each token of a :meth:`batch`, and which are to be learned, (rows, tokens)."""
        device = next(model.parameters()).device
        batch = {name: column.to(device) for name, column in self.batch(start, count).items()}
        labels = batch.pop("labels")[:, 1:]
        logits = model(**batch, use_cache=False).logits[:, :-1].float()
        losses = cross_entropy(logits.transpose(1, 2), labels, ignore_index=-100, reduction="none")
        return losses, labels != -100

    def tokens(self, start: int, count: int) -> int:
        """How many tokens there are to learn in the ``count`` conversations from place ``start`` on."""
        return sum(label != -100 for place in range(start, start + count) for label in self._row(place)[1])

    def _row(self, place: int) -> tuple[list[int], list[int]]:
        round_, index = divmod(place, len(self._rows))
        return self._rows[self._order(round_)[index]]

    def _shuffled(self, round_: int) -> list[int]:
        order = list(range(len(self._rows)))
        random.Random(f"{self._seed}/{round_}").shuffle(order)
        return order
