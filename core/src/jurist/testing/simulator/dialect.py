"""A provider's way of putting requests, answers and errors."""

from __future__ import annotations

import re
import time
from abc import ABC, abstractmethod
from collections.abc import Mapping
from itertools import count
from secrets import token_hex
from typing import Any, ClassVar

import orjson

from jurist.testing.simulator.answers import Said
from jurist.testing.simulator.asked import Asked, Provider
from jurist.testing.simulator.prompt_cache import CacheUse, PromptCache
from jurist.testing.simulator.rejection import Rejected
from jurist.testing.simulator.sealed import Sealed

_DATED = re.compile(r"\d{4}-?\d{2}-?\d{2}$")


class Dialect(ABC):
    """Reads requests and writes answers and errors as one provider does.

    ``served_model`` is the model that answers say they come from: by default the one asked for, with a date.
    """

    provider: ClassVar[Provider]
    request_id: ClassVar[str]
    date: ClassVar[str]

    def __init__(self, served_model: str | None) -> None:
        self._served_model = served_model
        self._numbers = count(1)
        # Another server never repeats an id, so a client that kept one learns that it is gone.
        self._prefix = token_hex(6)
        self.cache = PromptCache()

    @abstractmethod
    def key(self, headers: Mapping[str, str]) -> str:
        """The API key that was sent; empty if there is none."""

    @abstractmethod
    def asked(self, body: object) -> Asked:
        """The generation that a body asks for, or Rejected."""

    @abstractmethod
    def stops(self, asked: Asked) -> list[str]:
        """The texts that end an answer."""

    @abstractmethod
    def cached(self, asked: Asked) -> CacheUse:
        """What of the prompt is in the cache."""

    @abstractmethod
    def reply(self, asked: Asked, said: Said, use: CacheUse) -> dict[str, Any]:
        """The body of an answer."""

    @abstractmethod
    def error(self, rejected: Rejected) -> dict[str, Any]:
        """The body of an error."""

    @abstractmethod
    def unpaid(self) -> Rejected:
        """How the provider says that the account has no credit left."""

    def new_id(self, kind: str) -> str:
        """An id that was never given before."""
        return f"{kind}{self._prefix}{next(self._numbers):012x}"

    def served(self, model: str) -> str:
        """The name of the model that answers."""
        if self._served_model is not None:
            return self._served_model
        return model if _DATED.search(model) else f"{model}-{self.date}"

    def response(self, payload: bytes, status: int = 200, headers: Mapping[str, str] | None = None) -> Sealed:
        """JSON that is ready to be sent."""
        own = {"Content-Type": "application/json", self.request_id: self.new_id("req_")}
        return Sealed(payload, status, {**own, **headers} if headers else own)

    def rejection(self, rejected: Rejected) -> Sealed:
        """An error that is ready to be sent."""
        return self.response(orjson.dumps(self.error(rejected)), rejected.status, rejected.headers)


def bearer(headers: Mapping[str, str]) -> str:
    """The token of the header Authorization."""
    scheme, _, token = headers.get("Authorization", "").partition(" ")
    return token.strip() if scheme.casefold() == "bearer" else ""


def now() -> int:
    """The time in whole seconds."""
    return int(time.time())
