"""What LiteLLM's exceptions mean to the engine: try again, give up the item, or stop the run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from jurist.engine.http_failures import http_failure
from jurist.errors import ProviderError
from jurist_litellm.library import litellm

PROVIDED_BY = "jurist-litellm (jurist_litellm.model:LiteLLMChatModel)"

_KEY_STATUS = frozenset({401, 403})
_NO_KEY = re.compile(
    r"missing credentials|missing [\w ]*api key|api_key client option must be set|no connected db",
    re.IGNORECASE,
)
"""LiteLLM calls a missing key a server error for some providers; its proxy answers a wrong one with 400."""
_NO_MODEL = re.compile(r"invalid model name passed", re.IGNORECASE)
"""How the proxy says, with 400, what servers say with 404."""
_REFUSED = re.compile(r"content_filter|content_policy|input was flagged", re.IGNORECASE)
_PASSED_ON = "llm_provider-"
"""What a LiteLLM proxy puts before the names of headers that it passes on."""


@dataclass(frozen=True)
class Caller:
    """Who made the call that failed. ``key`` is only here to be kept out of messages."""

    model: str
    provider: str
    key: str | None

    def error(self, error: Exception) -> ProviderError:
        """The ProviderError that tells the engine what to do about ``error``."""
        status = _status(error)
        what, cause = f"{self.model} did not answer", self._cause(error)
        if status is None:
            return ProviderError(f"{what}.", provided_by=PROVIDED_BY, cause=cause)
        if status < 400:  # an answer came, and could not be read
            what = f"{self.model} sent something that is no reply."
            return ProviderError(what, retryable=True, provided_by=PROVIDED_BY, cause=cause)
        return http_failure(
            what,
            status,
            _headers(error),
            provided_by=PROVIDED_BY,
            cause=cause,
            unpaid=_code(error) == "insufficient_quota",
            hint=self._hint(error, status),
        )

    def _cause(self, error: Exception) -> str:
        """What was said, without the stack that LiteLLM appends and without the key."""
        said = f"{type(error).__name__}: {error}".partition("Traceback (most recent call last)")[0]
        return said.replace(self.key, "***") if self.key else said

    def _hint(self, error: Exception, status: int) -> str | None:
        if isinstance(error, litellm.exceptions.ContextWindowExceededError):
            return "shorten the prompt, lower max_tokens, or use a model with a longer context"
        if status == 404:
            return "check the options model and api_base: the provider does not know this model or address"
        if status not in _KEY_STATUS:
            return None
        missing = litellm.validate_environment(self.model)["missing_keys"]
        variable = missing[0] if missing else f"{self.provider.upper()}_API_KEY"
        return f"set {variable} to a valid key, or give the option api_key"


def is_refusal(error: Exception) -> bool:
    """Whether a content filter stopped the call; an answer of a kind, not a fault."""
    if isinstance(error, litellm.exceptions.ContentPolicyViolationError):
        return True
    return _status(error) in {400, 403} and bool(_REFUSED.search(f"{_code(error)} {error}"))


def _status(error: Exception) -> int | None:
    """The HTTP status that fits, where there is one."""
    if _NO_KEY.search(str(error)):
        return 401
    if _NO_MODEL.search(str(error)):
        return 404
    status = getattr(error, "status_code", None)
    return status if isinstance(status, int) else None


def _code(error: Exception) -> str | None:
    body = getattr(error, "body", None)
    fault = body.get("error", body) if isinstance(body, dict) else None
    code = fault.get("code") if isinstance(fault, dict) else None
    return code if isinstance(code, str) else None


def _headers(error: Exception) -> Mapping[str, str]:
    """The headers of the reply, those of a provider behind a LiteLLM proxy too; names in lower case."""
    response = getattr(error, "response", None)
    found = getattr(error, "litellm_response_headers", None) or getattr(response, "headers", None) or {}
    told = {str(name).lower(): str(value) for name, value in found.items()}
    return {name.removeprefix(_PASSED_ON): value for name, value in told.items()} | told
