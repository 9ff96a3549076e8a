"""What LiteLLM's exceptions mean to the engine: try again, give up the item, or stop the run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

import litellm
from litellm import exceptions

from jurist.errors import ProviderError
from jurist.http_failures import retry_after

_PAY = "the account has no credit left; add some and run again"
PROVIDED_BY = "jurist-litellm (jurist_litellm.model:LiteLLMChatModel)"

_PASSING = (
    exceptions.RateLimitError,
    exceptions.Timeout,
    exceptions.ServiceUnavailableError,
    exceptions.BadGatewayError,
    exceptions.InternalServerError,
    exceptions.APIConnectionError,
    exceptions.APIResponseValidationError,
)
_PASSING_STATUS = frozenset({408, 409, 425, 429})
_HOPELESS_STATUS = frozenset({401, 402, 403, 404})
_KEY_STATUS = frozenset({401, 403})
_NO_KEY = re.compile(
    r"missing credentials|missing [\w ]*api key|api_key client option must be set", re.IGNORECASE
)
"""LiteLLM reports a key that is not set as a server error for some providers."""
_REFUSED = re.compile(r"content_filter|content_policy|input was flagged", re.IGNORECASE)


@dataclass(frozen=True)
class Caller:
    """Who made the call that failed. ``key`` is only here to be kept out of messages."""

    model: str
    provider: str
    key: str | None

    def error(self, error: Exception) -> ProviderError:
        """The ProviderError that tells the engine what to do about ``error``."""
        unpaid = _code(error) == "insufficient_quota"
        status = 401 if _NO_KEY.search(str(error)) else getattr(error, "status_code", None)
        fatal = unpaid or status in _HOPELESS_STATUS
        passing = not fatal and (isinstance(error, _PASSING) or _passing_status(status))
        return ProviderError(
            f"{self.model} did not answer" + (f" (HTTP status {status})." if status else "."),
            retryable=passing,
            retry_after=retry_after(_headers(error)) if passing else None,
            rate_limited=passing and isinstance(error, exceptions.RateLimitError),
            fatal=fatal,
            provided_by=PROVIDED_BY,
            cause=self._cause(error),
            hint=_PAY if unpaid else self._hint(error, status),
        )

    def _cause(self, error: Exception) -> str:
        """What was said, without the stack that LiteLLM appends and without the key."""
        said = f"{type(error).__name__}: {error}".partition("Traceback (most recent call last)")[0]
        return said.replace(self.key, "***") if self.key else said

    def _hint(self, error: Exception, status: int | None) -> str | None:
        if isinstance(error, exceptions.ContextWindowExceededError):
            return "shorten the prompt, lower max_tokens, or use a model with a longer context"
        if status == 402:
            return _PAY
        if status == 404:
            return "check the options model and api_base: the provider does not know this model or address"
        if status not in _KEY_STATUS:
            return None
        missing = litellm.validate_environment(self.model)["missing_keys"]
        variable = missing[0] if missing else f"{self.provider.upper()}_API_KEY"
        return f"set {variable} to a valid key, or give the option api_key"


def is_refusal(error: Exception) -> bool:
    """Whether a content filter stopped the call; an answer of a kind, not a fault."""
    if isinstance(error, exceptions.ContentPolicyViolationError):
        return True
    return getattr(error, "status_code", None) in {400, 403} and bool(
        _REFUSED.search(f"{_code(error)} {error}")
    )


def _code(error: Exception) -> str | None:
    body = getattr(error, "body", None)
    fault = body.get("error", body) if isinstance(body, dict) else None
    code = fault.get("code") if isinstance(fault, dict) else None
    return code if isinstance(code, str) else None


def _passing_status(status: object) -> bool:
    return isinstance(status, int) and (status in _PASSING_STATUS or status >= 500)


def _headers(error: Exception) -> Mapping[str, str]:
    response = getattr(error, "response", None)
    found = getattr(error, "litellm_response_headers", None) or getattr(response, "headers", None) or {}
    return {str(name).lower(): str(value) for name, value in found.items()}
