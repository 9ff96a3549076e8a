"""Writes requests as the Messages API wants them, with what many share marked for the prompt cache."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Any

from jurist.chat import ChatRequest, Sampling
from jurist.records import Message
from jurist.tokens import estimate_tokens
from jurist_anthropic.listing import Listing
from jurist_anthropic.options import AnthropicOptions

Block = dict[str, Any]

log = logging.getLogger("jurist_anthropic")

_MARK = {"type": "ephemeral"}


class RequestWriter:
    """Writes the requests to one model.

    ``takes_sampling``: it is sent temperature and top_p, which newer models refuse, and all that think.
    """

    def __init__(self, options: AnthropicOptions, listing: Listing) -> None:
        self._options = options
        self._cache_from = listing.cache_from if options.cache else None
        self._may_be_silent = options.sampling is not None
        takes = listing.sampling and not options.thinks
        self.takes_sampling = takes if options.sampling is None else options.sampling

    def body(self, request: ChatRequest) -> dict[str, Any]:
        """The body that asks for one message."""
        system = [message for message in request.messages if message.role == "system" and message.content]
        body: dict[str, Any] = {
            "model": self._options.model,
            "max_tokens": request.sampling.max_tokens,
            "messages": self._turns(request, system),
        }
        if system:
            body["system"] = [_block(message.content) for message in system]
            if self._is_cached(system):
                body["system"][-1]["cache_control"] = _MARK
        if request.sampling.stop:
            body["stop_sequences"] = list(request.sampling.stop)
        if said := _said(request.sampling):
            if self.takes_sampling:
                body |= said
            else:
                self._warn(said)
        return {**body, **self._options.extra}

    def _turns(self, request: ChatRequest, system: list[Message]) -> list[Block]:
        """All but the system prompt; the first turn of the user is cut where the part that is shared ends."""
        turns: list[Block] = [
            {"role": message.role, "content": message.content}
            for message in request.messages
            if message.role != "system"
        ]
        first = next((turn for turn in turns if turn["role"] == "user"), None)
        if first is not None and request.shared:
            text = first["content"]
            shared, rest = text[: request.shared], text[request.shared :]
            if self._is_cached([*system, Message(role="user", content=shared)]):
                # The service refuses a block of nothing but blanks.
                parts = [shared, rest] if shared.strip() and rest.strip() else [text]
                first["content"] = [_block(part) for part in parts]
                first["content"][0]["cache_control"] = _MARK
        return turns

    def _is_cached(self, beginning: Iterable[Message]) -> bool:
        """Whether a prompt that begins like this is kept in the cache; marks on shorter ones do nothing."""
        return self._cache_from is not None and estimate_tokens(beginning) >= self._cache_from

    def _warn(self, left_out: dict[str, float]) -> None:
        if not self._may_be_silent:
            self._may_be_silent = True
            log.warning(
                "%s is asked without %s: it is not known to take sampling parameters. "
                "Set sampling: true to have them sent, or sampling: false to read this no more.",
                self._options.model,
                " and ".join(left_out),
            )


def _said(sampling: Sampling) -> dict[str, float]:
    """What has to be said of how to sample; most models refuse both parameters in one request."""
    said = {}
    if sampling.temperature != 1:
        said["temperature"] = sampling.temperature
    if sampling.top_p < 1 and sampling.temperature > 0:
        said["top_p"] = sampling.top_p
    return said


def _block(text: str) -> Block:
    return {"type": "text", "text": text}
