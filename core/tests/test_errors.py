"""Errors: the message for a person that each of them is."""

from __future__ import annotations

import pytest

from jurist.errors import JuristError, ProviderError, UsageError, described


def test_half_a_character_becomes_a_sign_that_files_and_terminals_take() -> None:
    error = ProviderError(
        "cut \ud83d",
        provided_by="a \udc00",
        cause=ValueError("bad \ud83d"),
        hint="see \U0001f600 \ud83d",
    )
    for text in (str(error), error.what, error.args[0], error.cause):
        text.encode()
    assert error.what == "cut \ufffd"
    assert error.cause == "ValueError: bad \ufffd"
    assert error.hint == "see \U0001f600 \ufffd"
    assert UsageError.of_faults("file \ud83d", ["line \ud83d"]).what.count("\ufffd") == 2


def test_slots_without_a_value_are_left_out() -> None:
    assert str(JuristError("it failed", cause="no\n  reason")) == "it failed\n  cause        no reason"


def test_a_bug_is_described_with_the_place_where_it_was_raised() -> None:
    with pytest.raises(KeyError) as caught:
        raise KeyError("x")
    assert described(caught.value).startswith("KeyError: 'x' (test_errors.py, line ")
    assert described(ValueError("never raised")) == "ValueError: never raised"
