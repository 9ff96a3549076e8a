"""What LiteLLM's exceptions mean to the engine: try again, give up the item, or stop the run."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass

from jurist.engine.http_failures import http_failure
from jurist.errors import ProviderError
from jurist.records import Usage
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
_REFUSED_CODE = re.compile(r"content_filter(ed)?|content_policy(_violation)?", re.IGNORECASE)
_REFUSED = re.compile(
    r"\bcontent_policy_violation\b|\bContentPolicyViolationError\b|\bcontent management policy\b"
    r"|\binput was flagged\b|\bcode\W+content_filter\b",
    re.IGNORECASE,
)
"""How messages say it where there is no code. Mere words would do for parameters of such names, too."""
_SECRET = re.compile(r"(_KEY|APIKEY|_TOKEN|_SECRET|_PASSWORD|_JWT)$", re.IGNORECASE)
"""The names of environment variables that LiteLLM reads keys from."""
_SHORTEST_SECRET = 8
_PASSED_ON = "llm_provider-"
"""What a LiteLLM proxy puts before the names of headers that it passes on."""


@dataclass(frozen=True)
class Caller:
    """Who made the call that failed. ``key`` is only here to be kept out of messages.

    LiteLLM reads keys from the environment as well, so what looks like one there is kept out, too.
    """

    model: str
    provider: str
    key: str | None

    def error(self, error: Exception) -> ProviderError:
        """The ProviderError that tells the engine what to do about ``error``."""
        status = _status(error)
        what = f"{self.model} gave no answer"
        # LiteLLM appends the stack to what was said.
        cause = f"{type(error).__name__}: {error}".partition("Traceback (most recent call last)")[0]
        if status is None:
            return ProviderError(f"{what}.", provided_by=PROVIDED_BY, cause=self._shown(cause))
        if status < 400:  # an answer came, and could not be read
            return self.no_reply(cause)
        return http_failure(
            what,
            status,
            _headers(error),
            provided_by=PROVIDED_BY,
            cause=self._shown(cause),
            unpaid=_code(error) == "insufficient_quota",
            hint=self._hint(error, status),
        )

    def no_reply(self, cause: str, usage: Usage | None = None) -> ProviderError:
        """The error for something in place of a reply, which another try may get; ``usage``: what it cost."""
        return ProviderError(
            f"{self.model} sent something that is no reply.",
            retryable=True,
            usage=usage,
            provided_by=PROVIDED_BY,
            cause=self._shown(cause),
        )

    def _shown(self, said: str) -> str:
        """What is shown of what was said: all but the keys, should they be repeated."""
        named = (value for name, value in os.environ.items() if _SECRET.search(name))
        secrets = {value for value in named if len(value) >= _SHORTEST_SECRET} | {self.key or ""}
        for secret in sorted(secrets - {""}, key=len, reverse=True):  # one may begin with another
            said = said.replace(secret, "***")
        return said

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
    said = _REFUSED_CODE.fullmatch(_code(error) or "") or _REFUSED.search(str(error))
    return _status(error) in {400, 403} and said is not None


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
