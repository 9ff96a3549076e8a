"""What an HTTP status means to the engine: try again, give up the item, or stop the run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from jurist.errors import ProviderError

_PASSING = frozenset({408, 409, 425, 429})
_HOPELESS = frozenset({401, 402, 403, 404})
_OVERLOADED = 529
_TOO_MANY = 429
_PAY = "the account has no credit left; add some and run again"


def http_failure(
    what: str,
    status: int,
    headers: Mapping[str, str],
    *,
    provided_by: str,
    cause: str | BaseException | None = None,
    unpaid: bool = False,
    hint: str | None = None,
) -> ProviderError:
    """The error for a reply with a faulty ``status``; names of ``headers`` are in lower case.

    ``unpaid`` says that the account has no credit left, which some providers report as a 429; ``hint`` is
    what helps with a wrong key or address.
    """
    unpaid = unpaid or status == 402
    fatal = unpaid or status in _HOPELESS or 300 <= status < 400
    passing = not fatal and (status in _PASSING or status >= 500)
    return ProviderError(
        f"{what} (HTTP status {status}).",
        retryable=passing,
        retry_after=retry_after(headers) if passing else None,
        rate_limited=passing and status in (_TOO_MANY, _OVERLOADED),
        fatal=fatal,
        provided_by=provided_by,
        cause=cause,
        hint=_PAY if unpaid else hint,
    )


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """The seconds that the headers (names in lower case) ask to wait: a number, or a date."""
    # The LiteLLM proxy passes on what its provider said under another name.
    stated = headers.get("retry-after") or headers.get("llm_provider-retry-after")
    milliseconds = headers.get("retry-after-ms")
    try:
        if milliseconds is not None:
            return max(0.0, float(milliseconds) / 1000)
        return None if stated is None else max(0.0, float(stated))
    except ValueError:
        pass
    try:
        return max(0.0, (parsedate_to_datetime(stated or "") - (now or datetime.now(UTC))).total_seconds())
    except (ValueError, TypeError):
        return None
