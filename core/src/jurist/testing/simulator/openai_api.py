"""OpenAI's chat completions."""

from __future__ import annotations

import math
from collections.abc import Mapping
from itertools import cycle
from typing import Any

from jurist.testing.simulator.answers import Said
from jurist.testing.simulator.asked import Asked, checked_body, read_messages
from jurist.testing.simulator.dialect import Dialect, bearer, now
from jurist.testing.simulator.prompt_cache import CacheUse
from jurist.testing.simulator.rejection import Rejected

ROLES = frozenset({"system", "developer", "user", "assistant"})
PLAIN_ODDS = 0.9
"""The probability of a word that is not one of two letters."""


class OpenAIDialect(Dialect):
    """OpenAI's way of putting things."""

    provider = "openai"
    request_id = "x-request-id"
    date = "2026-01-15"

    def __init__(self, served_model: str | None) -> None:
        super().__init__(served_model)
        self._refuses_in_message = cycle((False, True))

    def key(self, headers: Mapping[str, str]) -> str:
        """The bearer's token."""
        return bearer(headers)

    def asked(self, body: object) -> Asked:
        """The chat completion that a body asks for, or Rejected."""
        checked = checked_body(body)
        messages = read_messages(checked.get("messages"), ROLES)
        limits = [checked.get(name) for name in ("max_completion_tokens", "max_tokens")]
        limit = next((limit for limit in limits if limit is not None), None)
        if limit is not None and (not isinstance(limit, int) or limit < 1):
            raise Rejected(400, "max_tokens: expected a whole number of at least 1", param="max_tokens")
        if checked.get("n", 1) not in (None, 1):
            raise Rejected(400, "The simulator gives one choice.", param="n")
        top = checked.get("top_logprobs")
        if top is not None and (
            not checked.get("logprobs") or not isinstance(top, int) or not 0 <= top <= 20
        ):
            message = "top_logprobs: expected a whole number from 0 to 20, along with logprobs: true"
            raise Rejected(400, message, param="top_logprobs")
        return Asked("openai", checked["model"], messages, limit, checked)

    def stops(self, asked: Asked) -> list[str]:
        """``stop``, which may be one text or several."""
        stop = asked.body.get("stop") or []
        return [stop] if isinstance(stop, str) else list(stop)

    def cached(self, asked: Asked) -> CacheUse:
        """The longest known beginning of a long prompt."""
        return self.cache.automatic(asked.model, asked.messages)

    def reply(self, asked: Asked, said: Said, use: CacheUse) -> dict[str, Any]:
        """The body of a chat completion."""
        self.cache.keep(use)
        logprobs = None
        if asked.wants_logprobs and said.finish != "refusal":
            logprobs = {"content": _logprobs(said, asked.body.get("top_logprobs") or 0), "refusal": None}
        message, finish = self._message(said)
        return {
            "id": self.new_id("chatcmpl-"),
            "object": "chat.completion",
            "created": now(),
            "model": self.served(asked.model),
            "choices": [{"index": 0, "message": message, "logprobs": logprobs, "finish_reason": finish}],
            "usage": {
                "prompt_tokens": use.prompt,
                "completion_tokens": said.tokens,
                "total_tokens": use.prompt + said.tokens,
                "prompt_tokens_details": {"cached_tokens": use.read, "audio_tokens": 0},
                "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0},
            },
            "service_tier": "default",
            "system_fingerprint": "fp_simulator",
        }

    def _message(self, said: Said) -> tuple[dict[str, Any], str]:
        """The message and why it ends."""
        message: dict[str, Any] = {"role": "assistant", "content": said.text, "refusal": None}
        if said.finish != "refusal":
            return message, "length" if said.finish == "length" else "stop"
        if next(self._refuses_in_message):
            return {**message, "content": None, "refusal": said.text}, "stop"
        return {**message, "content": ""}, "content_filter"

    def error(self, rejected: Rejected) -> dict[str, Any]:
        """The body of an error."""
        told = {"message": rejected.message, "type": _type(rejected)}
        return {"error": {**told, "param": rejected.param, "code": rejected.code}}

    def unpaid(self) -> Rejected:
        """429 with a code of its own, and no time to wait."""
        message = "You exceeded your current quota, please check your plan and billing details."
        return Rejected(429, message, code="insufficient_quota")


def _type(rejected: Rejected) -> str:
    if rejected.code == "insufficient_quota":
        return "insufficient_quota"
    if rejected.status == 429:
        return "requests"
    return "server_error" if rejected.status >= 500 else "invalid_request_error"


def _logprobs(said: Said, top: int) -> list[dict[str, Any]]:
    """Every word as a token, with its alternatives; those nobody thinks of are left out."""
    words = said.text.split()
    tokens = [*words[:1], *(f" {word}" for word in words[1:])]
    entries = []
    for index, token in enumerate(tokens):
        odds = said.odds if said.odds is not None and index == 0 else {token: PLAIN_ODDS}
        listed = [_entry(name, share) for name, share in list(odds.items())[:top]]
        entries.append({**_entry(token, odds[token]), "top_logprobs": listed})
    return entries


def _entry(token: str, share: float) -> dict[str, Any]:
    return {"token": token, "logprob": math.log(share), "bytes": list(token.encode())}
