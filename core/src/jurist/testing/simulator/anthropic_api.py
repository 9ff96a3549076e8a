"""Anthropic's messages."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

import orjson

from jurist.testing.simulator.answers import Said
from jurist.testing.simulator.asked import Asked, checked_body, read_messages, read_text
from jurist.testing.simulator.dialect import Dialect, bearer
from jurist.testing.simulator.prompt_cache import Block, CacheUse
from jurist.testing.simulator.rejection import Rejected

ROLES = frozenset({"user", "assistant"})
TYPES = MappingProxyType(
    {
        401: "authentication_error",
        402: "billing_error",
        404: "not_found_error",
        413: "request_too_large",
        429: "rate_limit_error",
        500: "api_error",
        529: "overloaded_error",
    }
)
FINISHES = MappingProxyType({"stop": "end_turn", "length": "max_tokens"})


class AnthropicDialect(Dialect):
    """Anthropic's way of putting things."""

    provider = "anthropic"
    request_id = "request-id"
    date = "20260115"

    def key(self, headers: Mapping[str, str]) -> str:
        """The header x-api-key, or the bearer's token."""
        return headers.get("x-api-key", "").strip() or bearer(headers)

    def asked(self, body: object) -> Asked:
        """The message that a body asks for, or Rejected."""
        checked = checked_body(body)
        limit = checked.get("max_tokens")
        if not isinstance(limit, int) or limit < 1:
            raise Rejected(400, "max_tokens: expected a whole number of at least 1", param="max_tokens")
        messages = read_messages(checked.get("messages"), ROLES)
        if "system" in checked:
            messages = (("system", read_text(checked["system"], "system")), *messages)
        return Asked("anthropic", checked["model"], messages, limit, checked)

    def stops(self, asked: Asked) -> list[str]:
        """``stop_sequences``."""
        return list(asked.body.get("stop_sequences") or ())

    def cached(self, asked: Asked) -> CacheUse:
        """What earlier requests cached of this prompt, and what this one asks to have cached."""
        blocks = list(_blocks(asked.body))
        if asked.body.get("cache_control"):
            blocks[-1] = replace(blocks[-1], marked=True)
        return self.cache.marked(asked.model, blocks)

    def reply(self, asked: Asked, said: Said, use: CacheUse) -> dict[str, Any]:
        """The body of a message."""
        self.cache.keep(use)
        return {
            "id": self.new_id("msg_"),
            "type": "message",
            "role": "assistant",
            "model": self.served(asked.model),
            "content": [{"type": "text", "text": said.text}] if said.text else [],
            "stop_reason": FINISHES.get(said.finish, said.finish),
            "stop_sequence": said.stop,
            "usage": {
                "input_tokens": use.prompt - use.read - use.created,
                "cache_creation_input_tokens": use.created,
                "cache_read_input_tokens": use.read,
                "cache_creation": {
                    "ephemeral_5m_input_tokens": use.created,
                    "ephemeral_1h_input_tokens": 0,
                },
                "output_tokens": said.tokens,
                "service_tier": "standard",
            },
        }

    def error(self, rejected: Rejected) -> dict[str, Any]:
        """The body of an error."""
        kind = TYPES.get(rejected.status, "invalid_request_error")
        return {"type": "error", "error": {"type": kind, "message": rejected.message}}

    def unpaid(self) -> Rejected:
        """402."""
        message = "Your credit balance is too low to access the Anthropic API."
        return Rejected(402, f"{message} Please go to Plans & Billing to upgrade or purchase credits.")


def _blocks(body: Mapping[str, Any]) -> Iterator[Block]:
    """The parts of a prompt in the order in which they are cached: tools, system prompt, messages."""
    for tool in body.get("tools") or ():
        yield Block("tool", orjson.dumps(tool).decode(), bool(tool.get("cache_control")))
    turns = [("system", body["system"])] if "system" in body else []
    turns += [(message["role"], message["content"]) for message in body["messages"]]
    for role, content in turns:
        for part in [{"text": content}] if isinstance(content, str) else content:
            yield Block(role, part["text"], bool(part.get("cache_control")))
