"""What an HTTP status means to the engine: try again, give up the item, or stop the run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

from jurist.errors import ProviderError

_PASSING = frozenset({408, 409, 425, 429})
_HOPELESS = frozenset({401, 402, 403, 404})
_OVERLOADED = 529
_TOO_MANY = 429
_LONGEST = 3600.0
"""The longest wait, in seconds, that a provider may ask for and is obeyed."""
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
    what helps with a wrong key or address. A provider that asks to wait for more than an hour ends the run.
    """
    unpaid = unpaid or status == 402
    fatal = unpaid or status in _HOPELESS or 300 <= status < 400
    passing = not fatal and (status in _PASSING or status >= 500)
    wait = retry_after(headers) if passing else None
    if wait is not None and wait > _LONGEST:  # nobody should sit through that unawares
        return ProviderError(
            f"{what} (HTTP status {status}): it asks to wait {wait / 3600:,.1f} hours.",
            fatal=True,
            provided_by=provided_by,
            cause=cause,
            hint="run the same command again then; what was answered is kept",
        )
    return ProviderError(
        f"{what} (HTTP status {status}).",
        retryable=passing,
        retry_after=wait,
        rate_limited=passing and status in (_TOO_MANY, _OVERLOADED),
        fatal=fatal,
        provided_by=provided_by,
        cause=cause,
        hint=_PAY if unpaid else hint,
    )


def retry_after(headers: Mapping[str, str], now: datetime | None = None) -> float | None:
    """The seconds that the headers (names in lower case) ask to wait: a number, or a date."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds is not None:
        return milliseconds / 1000
    # The LiteLLM proxy passes on what its provider said under another name.
    stated = headers.get("retry-after") or headers.get("llm_provider-retry-after")
    seconds = _number(stated)
    if seconds is not None or not stated:
        return seconds
    try:
        return max(0.0, (parsedate_to_datetime(stated) - (now or datetime.now(UTC))).total_seconds())
    except (ValueError, TypeError, OverflowError):
        return None


def _number(text: str | None) -> float | None:
    """What a header says, at least 0; None if that is no finite number."""
    try:
        number = float(text or "")
    except ValueError:
        return None
    return max(0.0, number) if math.isfinite(number) else None
