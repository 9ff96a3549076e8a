"""Generation in batches whose rows do not know of each other.

Every row has its own temperature, top_p, limit, stop strings and noise. A token is the arg-max of the
row's warped logits plus Gumbel noise, which is an exact sample of their softmax; the noise comes from
the row's own seed, so neighbours, batch size and order change nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import LogitsProcessor, LogitsProcessorList, StoppingCriteria, StoppingCriteriaList

from jurist.chat import ChatReply, ChatRequest
from jurist.records import Usage, content_id
from jurist_hf.batching import Item
from jurist_hf.loading import LoadedModel


def generate(loaded: LoadedModel, batch: Sequence[Item]) -> list[ChatReply]:
    """One reply per item."""
    ids, mask = loaded.padded([item.prompt for item in batch])
    ends = RowEnds(loaded, [item.request for item in batch], start=ids.shape[1])
    output = loaded.model.generate(
        input_ids=ids,
        attention_mask=mask,
        do_sample=False,
        max_new_tokens=max(item.request.sampling.max_tokens for item in batch),
        logits_processor=LogitsProcessorList([RowSampler([item.request for item in batch], loaded.device)]),
        stopping_criteria=StoppingCriteriaList([ends]),
    )
    new = output[:, ids.shape[1] :].tolist()
    return [
        _reply(loaded, item, row[:end])
        for item, row, end in zip(batch, new, ends.lengths.tolist(), strict=True)
    ]


def _reply(loaded: LoadedModel, item: Item, tokens: list[int]) -> ChatReply:
    text = loaded.prompts.decode(tokens)
    cut = first_stop(text, item.request.sampling.stop)
    ended = cut is not None or tokens[-1] in loaded.end_ids
    return ChatReply(
        text=text[:cut],
        finish_reason="stop" if ended else "length",
        usage=Usage(prompt_tokens=len(item.prompt), completion_tokens=len(tokens)),
        served_model=loaded.name,
    )


def first_stop(text: str, stops: Sequence[str]) -> int | None:
    """Where the first of the stop strings begins in the text, if one does."""
    found = [at for stop in stops if stop and (at := text.find(stop)) >= 0]
    return min(found, default=None)


def noise_seed(request: ChatRequest) -> int:
    """The seed of a request's noise: its own seed and sample number, else its whole content."""
    seed = request.sampling.seed
    key = content_id(request) if seed is None else content_id("noise", seed, request.sample)
    return int(key, 16) >> 1


class RowSampler(LogitsProcessor):  # type: ignore[misc]
    """Warps each row's logits by its own temperature and top_p and adds its own Gumbel noise."""

    def __init__(self, requests: Sequence[ChatRequest], device: torch.device) -> None:
        sampled = [(row, request) for row, request in enumerate(requests) if request.sampling.temperature > 0]
        self._rows = torch.tensor([row for row, _ in sampled], dtype=torch.long, device=device)
        self._temperature = _column([request.sampling.temperature for _, request in sampled], device)
        self._top_p = _column([request.sampling.top_p for _, request in sampled], device)
        self._noise = [torch.Generator(device).manual_seed(noise_seed(request)) for _, request in sampled]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """The scores whose arg-max is the next token of each row."""
        if not self._noise:
            return scores
        logits = keep_top_p(scores[self._rows].float() / self._temperature, self._top_p)
        exponential = torch.empty_like(logits)
        for row, generator in zip(exponential, self._noise, strict=True):
            row.exponential_(generator=generator)
        chosen = scores.float()
        chosen[self._rows] = logits - exponential.log()
        return chosen


def keep_top_p(logits: torch.Tensor, top_p: torch.Tensor) -> torch.Tensor:
    """Minus infinity for all but the smallest set of tokens whose probability reaches ``top_p``."""
    if bool((top_p >= 1).all()):
        return logits
    ordered, order = logits.sort(dim=-1, descending=True)
    probabilities = ordered.softmax(dim=-1)
    before = probabilities.cumsum(dim=-1) - probabilities
    dropped = (before >= top_p) & (top_p < 1)
    dropped[:, 0] = False
    return logits.masked_fill(dropped.scatter(-1, order, dropped), float("-inf"))


class RowEnds(StoppingCriteria):  # type: ignore[misc]
    """Ends each row at its own limit, end token or stop string, and remembers where that was."""

    def __init__(self, loaded: LoadedModel, requests: Sequence[ChatRequest], start: int) -> None:
        self._loaded = loaded
        self._start = start
        self._limits = torch.tensor(
            [request.sampling.max_tokens for request in requests], device=loaded.device
        )
        self._end_ids = torch.tensor(loaded.end_ids, dtype=torch.long, device=loaded.device)
        self._stops = {
            row: request.sampling.stop for row, request in enumerate(requests) if request.sampling.stop
        }
        self._done = torch.zeros(len(requests), dtype=torch.bool, device=loaded.device)
        self.lengths = self._limits.clone()

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **kwargs: object) -> torch.Tensor:
        """Which rows are done after the newest token."""
        length = input_ids.shape[1] - self._start
        ended = torch.isin(input_ids[:, -1], self._end_ids) | (self._limits <= length)
        for row, stops in self._stops.items():
            if not (self._done[row] or ended[row]):
                text = self._loaded.prompts.decode(input_ids[row, self._start :].tolist())
                ended[row] = first_stop(text, stops) is not None
        self.lengths = torch.where(ended & ~self._done, length, self.lengths)
        self._done = self._done | ended
        return self._done


def _column(values: list[float], device: torch.device) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float32, device=device)[:, None]
