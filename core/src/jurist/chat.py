"""What is said to a chat model and what it answers."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from jurist.records import Message, Record, Usage


class Sampling(Record):
    """How to sample. ``temperature`` 0 is greedy; ``max_tokens`` counts new tokens."""

    temperature: float = Field(default=1.0, ge=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    max_tokens: int = Field(default=512, ge=1)
    stop: tuple[str, ...] = ()
    seed: int | None = None


class ChatRequest(Record):
    """One request.

    ``messages`` may end with an assistant turn, which the model then continues. With ``choices`` the
    model is asked for the log-probability of each of these continuations instead of for a text; one that
    begins another counts without it, so that they exclude each other.
    ``sample`` tells apart requests that are otherwise the same (the second of K samples, a second
    try after an unreadable answer); it is part of the ledger key and means nothing to a provider.
    ``shared`` characters at the start of the first user message are the same in many requests, so a provider
    with a prompt cache can keep them; they change no answer and are no part of the key.
    """

    messages: tuple[Message, ...] = Field(min_length=1)
    sampling: Sampling = Sampling()
    choices: tuple[str, ...] = ()
    sample: int = 0
    shared: int = Field(default=0, ge=0, exclude=True)


class ChatReply(Record):
    """One raw reply.

    ``choice_logprobs`` has one natural log-probability per choice of the request, or is None when the
    provider gives none (then ``text`` holds what the model wrote). ``finish_reason``: ``stop``,
    ``length`` (cut at ``max_tokens``), ``refusal`` (the model declined, or a content filter did).
    ``served_model`` and ``fingerprint`` are what the provider says it ran. ``note`` is what is to be
    kept of how a reply without text came about.
    """

    text: str = ""
    note: str = ""
    choice_logprobs: tuple[float, ...] | None = None
    finish_reason: Literal["stop", "length", "refusal"] = "stop"
    usage: Usage = Usage()
    served_model: str | None = None
    fingerprint: str | None = None
