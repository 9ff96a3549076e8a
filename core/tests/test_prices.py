"""Prices: what a call costs by its tokens."""

from __future__ import annotations

import pytest

from jurist.prices import Price

PRICE = Price(input=2, output=10, cached_input=1, cache_write=3, batch=0.5)


@pytest.mark.parametrize(
    ("tokens", "dollars"),
    [
        ({}, 2.0 + 5.0),
        ({"cached": 400_000, "written": 100_000}, 0.4 + 0.3 + 1.0 + 5.0),
        ({"batch": True}, 3.5),
        ({"cached": 10**15}, 1.0 + 5.0),  # a part cannot be larger than the whole
        ({"written": 10**15}, 3.0 + 5.0),
        ({"cached": -(10**15), "written": -1}, 2.0 + 5.0),
    ],
)
def test_cached_tokens_are_a_part_of_the_prompt_whatever_a_provider_says(
    tokens: dict[str, float], dollars: float
) -> None:
    assert PRICE.usd(1_000_000, 500_000, **tokens) == pytest.approx(dollars)
