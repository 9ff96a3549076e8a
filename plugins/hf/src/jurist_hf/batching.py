"""Cutting gathered requests into batches of like length, and what happens when one does not fit."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from time import perf_counter

import torch

from jurist.chat import ChatReply, ChatRequest
from jurist.errors import ProviderError
from jurist.records import Usage
from jurist_hf.checkpoint import PROVIDED_BY
from jurist_hf.loading import LoadedModel
from jurist_hf.prefixes import Prefixes, shared_length
from jurist_hf.shortening import shorten

Answer = ChatReply | ProviderError


@dataclass(frozen=True)
class Item:
    """A request as the model sees it: its prompt and its choices in token ids.

    ``left_out`` tokens of the prompt are not in it, since it would not have fitted.
    """

    request: ChatRequest
    prompt: list[int]
    choices: list[list[int]]
    left_out: int = 0

    @property
    def tokens(self) -> int:
        """The most tokens that memory has to hold for it: a choice of several tokens is a row of its own."""
        if not self.choices:
            return len(self.prompt) + self.request.sampling.max_tokens
        rows = max(1, sum(len(choice) > 1 for choice in self.choices))
        return rows * (len(self.prompt) + max(map(len, self.choices)))


BatchFunction = Callable[[LoadedModel, Sequence[Item]], list[ChatReply]]


def answer_in_batches(
    loaded: LoadedModel,
    requests: Sequence[ChatRequest],
    function: BatchFunction,
    batch_size: int,
    batch_tokens: int,
) -> list[Answer]:
    """One answer per request, in their order; a request that cannot be put gets its error alone."""
    answers: dict[int, Answer] = {}
    items: dict[int, Item] = {}
    for index, request in enumerate(requests):
        try:
            items[index] = encode(loaded, request)
        except ProviderError as error:
            answers[index] = error
    indices = list(items)
    for batch in batches(list(items.values()), batch_size, batch_tokens):
        replies = _run(loaded, [items[indices[place]] for place in batch], function)
        answers.update(zip((indices[place] for place in batch), replies, strict=True))
    return [answers[index] for index in range(len(requests))]


def batches(items: Sequence[Item], batch_size: int, batch_tokens: int) -> Iterator[list[int]]:
    """Batches of like length, as places in ``items``; what has choices stays with what begins like it.

    What such a family has in common is computed once, so the length of the rest is what its place goes by.
    A batch has at most ``batch_size`` items, and at most ``batch_tokens`` tokens with its padding, unless
    one item has more.
    """
    scored = [place for place, item in enumerate(items) if item.choices]
    families = [[place] for place, item in enumerate(items) if not item.choices]
    if scored:
        prefixes = Prefixes([items[place].prompt for place in scored])
        families += [[scored[n] for n in family] for family in prefixes.families()]

    def longest(places: Sequence[int]) -> int:
        return max(items[place].tokens for place in places)

    def fits(places: Sequence[int]) -> bool:
        return len(places) <= batch_size and len(places) * longest(places) <= batch_tokens

    def rest(family: Sequence[int]) -> int:
        first, last = items[family[0]], items[family[-1]]
        return longest(family) - (shared_length(first.prompt, last.prompt) if first is not last else 0)

    batch: list[int] = []
    for family in sorted(families, key=rest):
        if batch and not fits([*batch, *family]):
            yield batch
            batch = []
        for place in family:
            if batch and not fits([*batch, place]):
                yield batch
                batch = []
            batch.append(place)
    if batch:
        yield batch


def encode(loaded: LoadedModel, request: ChatRequest) -> Item:
    """Turn a request into token ids, or say why it does not fit.

    A choice is tokenised by itself and put after the prompt's ids, so that all choices of a request
    follow the same ids.
    """
    prompt = loaded.prompts.encode_prompt(request)
    choices = [loaded.prompts.encode_text(choice) for choice in request.choices]
    for choice, ids in zip(request.choices, choices, strict=True):
        if not ids:
            raise ProviderError(f"The choice {choice!r} has no token.", provided_by=PROVIDED_BY)
    if not choices:
        loaded.check_length(len(prompt), request.sampling.max_tokens, "max_tokens")
        return Item(request, prompt, choices)
    longest = max(map(len, choices))
    if loaded.shortens and loaded.max_length is not None and len(prompt) + longest > loaded.max_length:
        shortened = shorten(loaded.prompts, request, loaded.max_length - longest)
        if shortened is not None:
            return Item(request, shortened.prompt, choices, shortened.left_out)
    loaded.check_length(len(prompt), longest, "the choices")
    return Item(request, prompt, choices)


def _run(loaded: LoadedModel, batch: Sequence[Item], function: BatchFunction) -> list[Answer]:
    started = perf_counter()
    try:
        with torch.inference_mode():
            replies = function(loaded, batch)
    except RuntimeError as error:
        if not _is_out_of_memory(error):
            raise
        cause = str(error)
    else:
        share = (perf_counter() - started) / len(batch)
        return [_charged(reply, share) for reply in replies]
    # Outside the handler: its traceback would keep the tensors of the failed attempt alive.
    loaded.beginning = None
    if len(batch) == 1:
        message = f"{loaded.name} runs out of memory on a prompt of {len(batch[0].prompt)} tokens."
        return [
            ProviderError(
                message, provided_by=PROVIDED_BY, cause=cause, hint="shorten it, or use a lower dtype"
            )
        ]
    half = len(batch) // 2
    return _run(loaded, batch[:half], function) + _run(loaded, batch[half:], function)


def _is_out_of_memory(error: RuntimeError) -> bool:
    """Whether it is; on a CPU and on Apple's GPUs only the message tells."""
    texts = ("out of memory", "can't allocate memory")
    return isinstance(error, torch.OutOfMemoryError) or any(text in str(error) for text in texts)


def _charged(reply: ChatReply, seconds: float) -> ChatReply:
    """The reply with its even share of the batch's time, so that the sum is the time the model was busy."""
    usage = reply.usage + Usage(seconds=seconds)
    return reply.model_copy(update={"usage": usage})
