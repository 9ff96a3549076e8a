"""Shortening a prompt that the context cannot hold, so that it shows, and alike in both orders."""

from __future__ import annotations

from dataclasses import dataclass

from jurist.chat import ChatRequest
from jurist_hf.prompts import PromptEncoder

_LEAST = 32
"""No paragraph is cut to fewer tokens than this."""


@dataclass(frozen=True)
class Shortened:
    """The token ids of a prompt whose longest paragraphs are cut, and how many tokens were left out."""

    prompt: list[int]
    left_out: int


def shorten(prompts: PromptEncoder, request: ChatRequest, room: int) -> Shortened | None:
    """Its prompt with as little left out as fits into ``room`` tokens; None where that cannot be done.

    All paragraphs longer than some length lose their middle, down to that length. So what is cut out of a
    response does not depend on where it stands: of two long responses neither is favoured.
    """
    low, high = _LEAST, max(map(len, map(prompts.encode_text, _paragraphs(request))))
    best = None
    while low <= high:
        kept = (low + high) // 2
        found = _cut(prompts, request, kept)
        if len(found.prompt) <= room:
            best, low = found, kept + 1
        else:
            high = kept - 1
    return best


def _paragraphs(request: ChatRequest) -> list[str]:
    return [paragraph for message in request.messages for paragraph in message.content.split("\n\n")]


def _cut(prompts: PromptEncoder, request: ChatRequest, kept: int) -> Shortened:
    left_out, messages = 0, []
    for message in request.messages:
        paragraphs = message.content.split("\n\n")
        for place, paragraph in enumerate(paragraphs):
            ids = prompts.encode_text(paragraph)
            if len(ids) > kept:
                paragraphs[place] = _without_middle(prompts, ids, kept)
                left_out += len(ids) - kept
        messages.append(message.model_copy(update={"content": "\n\n".join(paragraphs)}))
    request = request.model_copy(update={"messages": tuple(messages)})
    return Shortened(prompts.encode_prompt(request), left_out)


def _without_middle(prompts: PromptEncoder, ids: list[int], kept: int) -> str:
    head, tail = prompts.decode(ids[: kept // 2]), prompts.decode(ids[len(ids) - (kept - kept // 2) :])
    # A token may end within a character, which decodes to a replacement character.
    head, tail = head.rstrip("\ufffd"), tail.lstrip("\ufffd")
    return f"{head} [… {len(ids) - kept} tokens left out …] {tail}"
