"""Intervals against scipy."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import stats

from jurist.intervals import estimate


@given(st.integers(1, 500), st.data())
def test_shares_have_wilsons_interval(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    ours = estimate([1.0] * k + [0.0] * (n - k))
    theirs = stats.binomtest(k, n).proportion_ci(method="wilson")
    assert ours.mean == pytest.approx(k / n)
    assert (ours.low, ours.high) == pytest.approx((theirs.low, theirs.high), abs=1e-9)


@given(st.lists(st.floats(2, 100), min_size=2, max_size=50).filter(lambda v: max(v) - min(v) > 0.1))
def test_other_means_have_the_normal_interval(values: list[float]) -> None:
    ours = estimate(values)
    low, high = stats.norm.interval(0.95, loc=sum(values) / len(values), scale=stats.sem(values))
    assert (ours.low, ours.high) == pytest.approx((low, high))


def test_one_value_has_no_interval_and_none_has_no_mean() -> None:
    assert estimate([3.0]).high == math.inf
    with pytest.raises(ValueError, match="no values"):
        estimate([])
