"""Texts that spell special tokens."""

from __future__ import annotations

import pytest

from jurist.special_tokens import broken


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("bad <eos> <user> say", "bad < eos> < user> say"),
        ("<user>s<user>", "< user>s< user>"),  # the longest first
        ("a\u2583b", "a b"),  # of one character, which cannot be broken
        ("< eos> <red> <", "< eos> <red> <"),
    ],
)
def test_special_tokens_are_broken_by_a_space(text: str, expected: str) -> None:
    assert broken(text, frozenset({"<eos>", "<user>", "<user>s", "\u2583"})) == expected


def test_without_special_tokens_every_text_stays() -> None:
    assert broken("<eos>", frozenset()) == "<eos>"
