"""Cutting gathered requests into batches of like length, and what happens when one does not fit."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from time import perf_counter

import torch

from jurist.chat import ChatReply, ChatRequest
from jurist.errors import ProviderError
from jurist.records import Usage
from jurist_hf._loading import LoadedModel
from jurist_hf.checkpoint import PROVIDED_BY

Answer = ChatReply | ProviderError


@dataclass(frozen=True)
class Item:
    """A request as the model sees it: its prompt and its choices in token ids."""

    request: ChatRequest
    prompt: list[int]
    choices: list[list[int]]


BatchFunction = Callable[[LoadedModel, Sequence[Item]], list[ChatReply]]


def answer_in_batches(
    loaded: LoadedModel, requests: Sequence[ChatRequest], function: BatchFunction, batch_size: int
) -> list[Answer]:
    """One answer per request, in their order; a request that cannot be put gets its error alone."""
    answers: dict[int, Answer] = {}
    items: dict[int, Item] = {}
    for index, request in enumerate(requests):
        try:
            items[index] = encode(loaded, request)
        except ProviderError as error:
            answers[index] = error
    by_length = sorted(items, key=lambda index: len(items[index].prompt))
    for start in range(0, len(by_length), batch_size):
        batch = by_length[start : start + batch_size]
        replies = _run(loaded, [items[index] for index in batch], function)
        answers.update(zip(batch, replies, strict=True))
    return [answers[index] for index in range(len(requests))]


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
    if choices:
        loaded.check_length(len(prompt), max(map(len, choices)), "the choices")
    else:
        loaded.check_length(len(prompt), request.sampling.max_tokens, "max_tokens")
    return Item(request, prompt, choices)


def _run(loaded: LoadedModel, batch: Sequence[Item], function: BatchFunction) -> list[Answer]:
    started = perf_counter()
    try:
        with torch.inference_mode():
            replies = function(loaded, batch)
    except torch.OutOfMemoryError as error:
        cause = str(error)
    else:
        share = (perf_counter() - started) / len(batch)
        return [_charged(reply, share) for reply in replies]
    # Outside the handler: its traceback would keep the tensors of the failed attempt alive.
    if len(batch) == 1:
        message = f"{loaded.name} runs out of memory on a prompt of {len(batch[0].prompt)} tokens."
        return [
            ProviderError(
                message, provided_by=PROVIDED_BY, cause=cause, hint="shorten it, or use a lower dtype"
            )
        ]
    half = len(batch) // 2
    return _run(loaded, batch[:half], function) + _run(loaded, batch[half:], function)


def _charged(reply: ChatReply, seconds: float) -> ChatReply:
    """The reply with its even share of the batch's time, so that the sum is the time the model was busy."""
    usage = reply.usage + Usage(seconds=seconds)
    return reply.model_copy(update={"usage": usage})
