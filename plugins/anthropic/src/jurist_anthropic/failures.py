"""What a failed call means to the engine: try again, give up the item, or stop the run."""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

import anthropic
from pydantic import BaseModel

from jurist.engine.http_failures import http_failure
from jurist.errors import ProviderError
from jurist.records import Usage

PROVIDED_BY = "jurist-anthropic (jurist_anthropic.model:AnthropicChatModel)"

_SHOWN = 500
_UNPAID = re.compile(r"billing_error|credit balance is too low|spend_limit_reached|API usage limits")
"""The service says some of these with a 400 or a 429, though waiting mends none."""

_STATUSES: Mapping[str, int] = MappingProxyType(
    {
        "invalid_request_error": 400,
        "authentication_error": 401,
        "billing_error": 402,
        "permission_error": 403,
        "not_found_error": 404,
        "request_too_large": 413,
        "rate_limit_error": 429,
        "api_error": 500,
        "timeout_error": 504,
        "overloaded_error": 529,
    }
)
"""Requests in a batch fail with the type of the error alone."""

_HINTS: Mapping[int, str] = MappingProxyType(
    {
        401: "set ANTHROPIC_API_KEY to a valid key, or give the option api_key",
        403: "set ANTHROPIC_API_KEY to a key that may use this model, or give the option api_key",
        404: "check the options model and base_url (an address without /v1 at its end)",
    }
)

_REMEDIES = (
    ("prompt is too long|context window", "shorten the prompt, or use a model with a longer context"),
    ("prefill|must end with a user message", "end the messages with the user's turn, or use an older model"),
    (
        "temperature|top_p",
        "give temperature or top_p alone, which some models want, or neither: sampling: false",
    ),
)
"""What helps with a request that the service refused, by what it said."""


class Fault(BaseModel):
    """What went wrong with a request of a batch."""

    type: str
    message: str = ""


class FaultyAnswer(BaseModel):
    """The body of an error."""

    error: Fault


class Failures:
    """The errors of one model; ``secrets`` are only here to be kept out of messages."""

    def __init__(self, model: str, secrets: tuple[str, ...]) -> None:
        self._model = model
        self._secrets = secrets

    def of_call(self, error: Exception) -> ProviderError:
        """The error for what the client raised."""
        if isinstance(error, anthropic.APIStatusError):
            said = error.api_message or error.message
            headers = {name.lower(): value for name, value in error.response.headers.items()}
            return self._of_status(
                error.status_code, f"{error.type} {error.error_code} {said}", said, headers, ""
            )
        cause = error.__cause__ if isinstance(error, anthropic.APIConnectionError) else None
        return self.broken(f"{type(cause or error).__name__}: {cause or error}")

    def in_batch(self, fault: Fault) -> ProviderError:
        """The error for a request of a batch that was not answered."""
        status = _STATUSES.get(fault.type, 400)
        return self._of_status(status, f"{fault.type} {fault.message}", fault.message, {}, " in its batch")

    def broken(self, cause: str, usage: Usage | None = None) -> ProviderError:
        """The error for a connection that could not be made or broke, and for a body that is no answer.

        ``usage``: what that cost.
        """
        return ProviderError(
            f"{self._model} did not answer.",
            retryable=True,
            usage=usage,
            provided_by=PROVIDED_BY,
            cause=self._shown(cause),
        )

    def unreadable(self, sent: bytes) -> ProviderError:
        """The error for an answer that is cut off, or in another protocol."""
        return self.broken(f"it sent what is no answer: {sent.decode('utf-8', 'replace')}")

    def lost(self, batch_id: str, cause: str | None) -> ProviderError:
        """The error for a batch that cannot be read with this key, or no longer."""
        return ProviderError(
            f"The service has no results of batch {batch_id}.",
            provided_by=PROVIDED_BY,
            cause=self._shown(cause or ""),
            hint="batches are only seen with a key of the workspace that made them",
        )

    def too_large(self, count: int, cause: str | None) -> ProviderError:
        """The error for a batch with more requests than are taken."""
        return ProviderError(
            f"A batch of {count:,} requests is more than the service takes at once.",
            fatal=True,
            provided_by=PROVIDED_BY,
            cause=self._shown(cause or ""),
            hint="gather fewer: batch: {size: …}",
        )

    def _of_status(
        self, status: int, told: str, said: str, headers: Mapping[str, str], where: str
    ) -> ProviderError:
        remedies = [hint for pattern, hint in _REMEDIES if re.search(pattern, said)]
        return http_failure(
            f"{self._model} gave no answer{where}",
            status,
            headers,
            provided_by=PROVIDED_BY,
            cause=self._shown(said) or None,
            unpaid=_UNPAID.search(told) is not None,
            hint=_HINTS.get(status) or (remedies[0] if status == 400 and remedies else None),
        )

    def _shown(self, text: str) -> str:
        """What is shown of the service's ``text``: its start, without the secrets that it may repeat."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return text[:_SHOWN]


def missing_key(model: str, cause: Exception | None = None) -> ProviderError:
    """The error for a call without any credentials, or with some that cannot be read."""
    return ProviderError(
        f"{model} needs a key, and there is none.",
        fatal=True,
        provided_by=PROVIDED_BY,
        cause=cause,
        hint="export ANTHROPIC_API_KEY=…, or give the option api_key: ${NAME}",
    )
