"""Requests that get an error instead of an answer."""

from __future__ import annotations

from collections.abc import Mapping


class Rejected(Exception):
    """Why a request is not served; the dialect says it in its provider's words.

    ``code`` and ``param`` are OpenAI's, and not shown by Anthropic.
    """

    def __init__(
        self,
        status: int,
        message: str,
        *,
        code: str | None = None,
        param: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.code = code
        self.param = param
        self.headers = headers
