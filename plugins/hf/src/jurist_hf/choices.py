"""Log-probabilities of given continuations; what prompts and choices begin with in common is computed once.

The two orders of a comparison have instructions and conversation in common, all requests of a judge its
instructions, the choices of a request its prompt. The rest goes on from a copy of the shared keys and
values, which gives the same numbers as a forward pass over the whole, but for rounding.
"""

from __future__ import annotations

import inspect
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from jurist.alternatives import exclusive
from jurist.chat import ChatReply
from jurist.records import Usage
from jurist_hf.batching import Item
from jurist_hf.beginning import Beginning
from jurist_hf.loading import LoadedModel
from jurist_hf.prefixes import Passes, Piece, Prefixes, cost, shared_length, width

_POSITIONS = 512
"""How many positions have their logits in memory at once: a choice may be a whole response."""


def score_choices(loaded: LoadedModel, batch: Sequence[Item]) -> list[ChatReply]:
    """One reply per item, with the log-probability of each of its choices.

    Its note, which is kept as the outcome's ``raw``, says how much of the prompt was left out.
    """
    totals = choice_logprobs(loaded, batch)
    return [
        ChatReply(
            note=f"[… {item.left_out} tokens of the prompt left out …]" if item.left_out else "",
            choice_logprobs=tuple(row),
            usage=Usage(prompt_tokens=len(item.prompt)),
            served_model=loaded.name,
        )
        for item, row in zip(batch, totals, strict=True)
    ]


def choice_logprobs(loaded: LoadedModel, batch: Sequence[Item]) -> list[list[float]]:
    """The natural log-probability of each item's choices, summed over their tokens.

    A choice whose tokens begin another choice counts without that one: as a whole answer.
    """
    sums = iter(_Scoring(loaded, [(item.prompt, choice) for item in batch for choice in item.choices]).run())
    return [exclusive([next(sums) for _ in item.choices], item.choices) for item in batch]


@dataclass(frozen=True)
class _Targets:
    """The tokens whose log-probability a pass gives, each with its row, column and continuation: (n,)."""

    rows: torch.Tensor
    columns: torch.Tensor
    tokens: torch.Tensor
    continuations: torch.Tensor

    def between(self, start: int, end: int) -> _Targets:
        """Those of the columns from ``start`` to before ``end``."""
        here = (self.columns >= start) & (self.columns < end)
        return _Targets(self.rows[here], self.columns[here], self.tokens[here], self.continuations[here])


class _Scoring:
    """The log-probabilities of continuations, each given as a prompt's token ids and its own."""

    def __init__(self, loaded: LoadedModel, continuations: Sequence[tuple[list[int], list[int]]]) -> None:
        self._loaded = loaded
        self._continuations = continuations
        self._prefixes = Prefixes([prompt + choice[:-1] for prompt, choice in continuations])
        self._at: dict[int, list[int]] = {}
        for index, place in enumerate(self._prefixes.places):
            self._at.setdefault(place, []).append(index)
        self._accepted = inspect.signature(loaded.model.forward).parameters
        self._cache = self._empty_cache()
        self._sums = torch.zeros(len(continuations), dtype=torch.float32, device=loaded.device)

    def run(self) -> list[float]:
        """One log-probability per continuation, summed over its tokens."""
        passes = self._passes()
        known = self._recall(passes)
        mask = torch.ones((1, known), dtype=torch.long, device=self._loaded.device)
        for number, pieces in enumerate(passes):
            parents = torch.tensor([piece.parent for piece in pieces], device=self._loaded.device)
            ids, real = self._loaded.padded([self._prefixes.tokens(piece) for piece in pieces])
            mask = torch.cat([mask[parents], real], dim=1)
            if number:
                self._cache.reorder_cache(parents)
            self._compute(ids, mask, self._targets(pieces, ids.shape[1]), goes_on=number + 1 < len(passes))
            if not number:
                self._remember(passes)
        result: list[float] = self._sums.tolist()
        return result

    def _passes(self) -> Passes:
        """Passes that share beginnings, where that pays and the model's cache can have gaps in its rows."""
        shared, alone = self._prefixes.shared(), self._prefixes.alone()
        return shared if cost(shared) < cost(alone) and self._bears_gaps(sum(map(width, shared))) else alone

    def _recall(self, passes: Passes) -> int:
        """Take up what an earlier batch left of the beginning that all share; how many tokens of it."""
        kept, root = self._loaded.beginning, passes[0][0]
        if kept is None or not self._is_rooted(passes):
            return 0
        unasked = min(len(prompt) for prompt, _ in self._continuations) - 1
        known = min(shared_length(kept.ids, self._prefixes.tokens(root)), root.end - 1, unasked)
        if known:
            self._cache = kept.first(known)
            passes[0] = [replace(root, start=known)]
        return known

    def _remember(self, passes: Passes) -> None:
        """Keep the beginning that all share for the next batch, which is likely to share it, too."""
        if self._is_rooted(passes):
            ids = self._prefixes.sequences[0][: passes[0][0].end]
            self._loaded.beginning = Beginning(ids, Beginning(ids, self._cache).first(len(ids)))

    def _is_rooted(self, passes: Passes) -> bool:
        """Whether all begin with one piece, whose cache can be cut off anywhere."""
        return (
            len(passes) > 1
            and len(passes[0]) == 1
            and all(type(layer) is DynamicLayer for layer in self._cache.layers)
        )

    def _empty_cache(self) -> Any:
        """A cache from which several tokens can go on; None for a model that has more state than that.

        Models of recurrent layers take one token at a time up again, or have a cache of their own.
        """
        if not {"past_key_values", "position_ids"} <= set(self._accepted):
            return None
        cache = DynamicCache(config=self._loaded.model.config)
        known = all(type(layer) in (DynamicLayer, DynamicSlidingWindowLayer) for layer in cache.layers)
        return cache if known else None

    def _bears_gaps(self, columns: int) -> bool:
        """Whether padding between the pieces of a row is harmless: a window counts it like tokens."""
        return self._cache is not None and all(
            columns <= layer.sliding_window
            for layer in self._cache.layers
            if isinstance(layer, DynamicSlidingWindowLayer)
        )

    def _targets(self, pieces: Sequence[Piece], columns: int) -> _Targets:
        found = [
            (row, columns - piece.end + position, token, index)
            for row, piece in enumerate(pieces)
            for index in (index for member in piece.members for index in self._at[member])
            for position, token in self._predicted(index, piece)
        ]
        table = torch.tensor(found, dtype=torch.long, device=self._loaded.device).reshape(-1, 4)
        return _Targets(*table.unbind(dim=1))

    def _predicted(self, index: int, piece: Piece) -> Iterator[tuple[int, int]]:
        """The positions of a piece after which a token of the continuation comes, with that token."""
        prompt, choice = self._continuations[index]
        before = len(prompt) - 1
        for n in range(max(piece.start - before, 0), min(piece.end - before, len(choice))):
            yield before + n, choice[n]

    def _compute(self, ids: torch.Tensor, mask: torch.Tensor, targets: _Targets, goes_on: bool) -> None:
        """Add up what one pass gives, in strips of columns where it gives much."""
        rows, columns = ids.shape
        past = mask.shape[1] - columns
        first = int(targets.columns.min()) if len(targets.columns) else columns - 1
        step = columns if self._cache is None else max(1, _POSITIONS // rows)
        ends = [*range(first + step, columns, step), columns]
        cached = bool(past) or goes_on or len(ends) > 1
        for start, end in zip([0, *ends], ends, strict=False):
            kept = end - max(start, first)
            cache = {"past_key_values": self._cache} if cached else {}
            output = self._forward(
                ids[:, start:end], mask[:, : past + end], logits_to_keep=kept, use_cache=cached, **cache
            )
            self._add(output.logits.float(), targets.between(end - kept, end), end)

    def _add(self, logits: torch.Tensor, targets: _Targets, end: int) -> None:
        """``logits``: (rows, positions, vocabulary), the last of them for the column before ``end``."""
        at = (targets.rows, targets.columns - end)
        logprobs = logits[(*at, targets.tokens)] - logits.logsumexp(dim=-1)[at]
        self._sums.index_add_(0, targets.continuations, logprobs)

    def _forward(self, ids: torch.Tensor, mask: torch.Tensor, **arguments: Any) -> Any:
        positions = (mask.cumsum(dim=-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
        wanted = {"position_ids": positions, **arguments}
        return self._loaded.model(
            input_ids=ids,
            attention_mask=mask,
            **{name: value for name, value in wanted.items() if name in self._accepted},
        )
