from datetime import UTC, datetime

import pytest

from jurist.engine.http_failures import http_failure, retry_after

NOW = datetime(2026, 11, 23, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "7"}, 7.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after": "Mon, 23 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Mon, 23 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "-3"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "inf"}, None),
        ({"retry-after": "1e400"}, None),
        ({"retry-after-ms": "soon", "retry-after": "5"}, 5.0),
        ({"retry-after-ms": "inf", "retry-after": "Mon, 23 Nov 2026 12:00:30 GMT"}, 30.0),
        ({}, None),
    ],
)
def test_retry_after_is_a_number_or_a_date(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, NOW) == seconds


@pytest.mark.parametrize(
    ("status", "retryable", "rate_limited", "fatal"),
    [
        (400, False, False, False),
        (401, False, False, True),
        (402, False, False, True),
        (404, False, False, True),
        (408, True, False, False),
        (422, False, False, False),
        (429, True, True, False),
        (500, True, False, False),
        (529, True, True, False),
    ],
)
def test_a_status_says_what_helps(status: int, retryable: bool, rate_limited: bool, fatal: bool) -> None:
    error = http_failure("It did not answer", status, {}, provided_by="me")
    assert (error.retryable, error.rate_limited, error.fatal) == (retryable, rate_limited, fatal)
    assert error.what == f"It did not answer (HTTP status {status})."


def test_an_account_without_credit_is_fatal_whatever_its_status() -> None:
    error = http_failure("x", 429, {"retry-after": "3"}, provided_by="me", unpaid=True)
    assert (error.fatal, error.retryable, error.rate_limited) == (True, False, False)
    assert "credit" in str(error.hint)


def test_how_long_to_wait_is_passed_on() -> None:
    assert http_failure("x", 503, {"retry-after": "3"}, provided_by="me").retry_after == 3.0


@pytest.mark.parametrize("asked", ["86400", "Fri, 31 Dec 9999 23:59:59 GMT"])
def test_who_asks_to_wait_for_hours_is_not_waited_for(asked: str) -> None:
    error = http_failure("x", 429, {"retry-after": asked}, provided_by="me", cause="daily quota")
    assert (error.fatal, error.retryable, error.retry_after) == (True, False, None)
    assert "asks to wait" in error.what
    assert error.cause == "daily quota"
    assert http_failure("x", 429, {"retry-after": "3600"}, provided_by="me").retry_after == 3600.0
    assert http_failure("x", 400, {"retry-after": asked}, provided_by="me").what == "x (HTTP status 400)."
