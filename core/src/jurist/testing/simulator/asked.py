"""What the simulated provider was asked."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from jurist.testing.simulator.rejection import Rejected

Provider = Literal["openai", "anthropic"]


@dataclass(frozen=True)
class Asked:
    """One generation that was asked for.

    ``messages`` are pairs of role and text, Anthropic's system prompt first; ``body`` is the request as it
    came.
    """

    provider: Provider
    model: str
    messages: tuple[tuple[str, str], ...]
    max_tokens: int | None
    body: Mapping[str, Any]

    @property
    def digest(self) -> str:
        """The key of ``Counters.asked``: the same for the same messages, seed and model."""
        told = orjson.dumps((self.messages, self.body.get("seed"), self.model))
        return hashlib.blake2b(told, digest_size=12).hexdigest()

    @property
    def wants_logprobs(self) -> bool:
        """Whether log-probabilities are asked for."""
        return self.body.get("logprobs") is True


def checked_body(body: object) -> dict[str, Any]:
    """The body of a generation, once what both providers demand is there."""
    if not isinstance(body, dict):
        raise Rejected(400, "The body of the request is not a JSON object.")
    if not isinstance(body.get("model"), str):
        raise Rejected(400, "you must provide a model parameter", param="model")
    if body.get("stream"):
        raise Rejected(400, "The simulator does not stream.", param="stream")
    for name in ("stop", "stop_sequences"):
        stops = body.get(name) or []
        if not isinstance(stops, str | list) or not all(isinstance(stop, str) for stop in stops):
            raise Rejected(400, f"{name}: expected texts", param=name)
    return body


def read_messages(messages: object, roles: frozenset[str]) -> tuple[tuple[str, str], ...]:
    """The pairs of role and text of a list of messages."""
    if not isinstance(messages, list) or not messages:
        raise Rejected(400, "messages: expected a list with at least one message", param="messages")
    return tuple(_message(index, message, roles) for index, message in enumerate(messages))


def _message(index: int, message: object, roles: frozenset[str]) -> tuple[str, str]:
    where = f"messages.{index}"
    if not isinstance(message, dict) or message.get("role") not in roles:
        raise Rejected(400, f"{where}.role: expected one of {', '.join(sorted(roles))}", param=where)
    return message["role"], read_text(message.get("content"), f"{where}.content")


def read_text(content: object, where: str) -> str:
    """The text of a content, which may come in blocks."""
    if isinstance(content, str):
        return content
    if not isinstance(content, list) or not content:
        raise Rejected(400, f"{where}: expected a text or a list of blocks", param=where)
    for block in content:
        if not isinstance(block, dict) or not isinstance(block.get("text"), str):
            # Left out, two questions about different pictures would count as one and the same.
            raise Rejected(400, f"{where}: the simulator reads only blocks of text", param=where)
    return "\n".join(block["text"] for block in content)
