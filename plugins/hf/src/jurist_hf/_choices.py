"""Log-probabilities of given continuations: the prompt is computed once, whatever the choices.

One forward pass over the prompts gives the log-probability of every choice's first token. Choices of
more than one token then continue from a copy of their prompt's key-value cache.
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Any

import torch

from jurist.alternatives import exclusive
from jurist.chat import ChatReply
from jurist.records import Usage
from jurist_hf._batches import Item
from jurist_hf._loading import LoadedModel

_POSITIONS = 512
"""How many positions have their logits in memory at once: a choice may be a whole response."""


def score_choices(loaded: LoadedModel, batch: Sequence[Item]) -> list[ChatReply]:
    """One reply per item, with the log-probability of each of its choices."""
    totals = choice_logprobs(loaded, batch)
    return [
        ChatReply(
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
    ids, mask = loaded.padded([item.prompt for item in batch])
    longer = [
        (row, column, choice)
        for row, item in enumerate(batch)
        for column, choice in enumerate(item.choices)
        if len(choice) > 1
    ]
    output = _forward(loaded, ids, mask, logits_to_keep=1, use_cache=bool(longer))
    first = output.logits[:, -1].float().log_softmax(dim=-1)
    totals = [first[row, [choice[0] for choice in item.choices]].tolist() for row, item in enumerate(batch)]
    if longer:
        rows = torch.tensor([row for row, _, _ in longer], device=loaded.device)
        output.past_key_values.batch_select_indices(rows)
        rest = _rest(loaded, [choice for _, _, choice in longer], mask[rows], output.past_key_values)
        for (row, column, _), logprob in zip(longer, rest, strict=True):
            totals[row][column] += logprob
        totals = [exclusive(row, item.choices) for row, item in zip(totals, batch, strict=True)]
    return totals


def _rest(loaded: LoadedModel, choices: list[list[int]], mask: torch.Tensor, cache: Any) -> list[float]:
    """For each choice the log-probability of the tokens after its first."""
    width = max(map(len, choices)) - 1
    filled = [choice + [loaded.pad_id] * (width + 1 - len(choice)) for choice in choices]
    ids = torch.tensor(filled, device=loaded.device)
    real = torch.tensor([[i < len(c) - 1 for i in range(width)] for c in choices], device=loaded.device)
    mask = torch.cat([mask, real.to(mask.dtype)], dim=1)
    prompt_width = mask.shape[1] - width
    sums = torch.zeros(len(choices), dtype=torch.float32, device=loaded.device)
    step = max(1, _POSITIONS // len(choices))
    for start in range(0, width, step):
        end = min(start + step, width)
        seen = mask[:, : prompt_width + end]
        logits = _forward(
            loaded, ids[:, start:end], seen, past_key_values=cache, use_cache=True
        ).logits.float()
        targets = ids[:, start + 1 : end + 1, None]
        logprobs = logits.gather(-1, targets).squeeze(-1) - logits.logsumexp(dim=-1)
        sums += logprobs.masked_fill(~real[:, start:end], 0.0).sum(dim=-1)
    result: list[float] = sums.tolist()
    return result


def _forward(loaded: LoadedModel, ids: torch.Tensor, mask: torch.Tensor, **arguments: Any) -> Any:
    positions = (mask.cumsum(dim=-1) - 1).clamp(min=0)[:, -ids.shape[1] :]
    wanted = {"position_ids": positions, **arguments}
    accepted = inspect.signature(loaded.model.forward).parameters
    return loaded.model(
        input_ids=ids,
        attention_mask=mask,
        **{name: value for name, value in wanted.items() if name in accepted},
    )
