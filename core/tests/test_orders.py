import asyncio

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jurist.contracts import Judge
from jurist.judges.orders import (
    AdaptiveOrders,
    AdaptiveOrdersOptions,
    BothOrders,
    BothOrdersOptions,
    OneOrder,
    flipped,
)
from jurist.records import Abstention, Comparison, Failure, Judgment, Prompt, Response, Usage

COMPARISON = Comparison(
    prompt=Prompt.of("q"), response_a=Response(text="first"), response_b=Response(text="second")
)


class ByPosition(Judge):
    """Gives one outcome when 'first' is shown first, and another when it is shown second."""

    def __init__(self, straight, swapped):
        super().__init__()
        self.answers = {"first": straight, "second": swapped}
        self.asked = []

    async def judge(self, comparison, principles):
        self.asked.append(comparison.response_a.text)
        return self.answers[comparison.response_a.text]


class Symmetric(ByPosition):
    capabilities = frozenset({"symmetric"})


def both(straight, swapped, **options):
    judge = BothOrders(ByPosition(straight, swapped), BothOrdersOptions(**options))
    return asyncio.run(judge.judge(COMPARISON, ()))


def said(preference, **fields):
    return Judgment(preference=preference, usage=Usage(prompt_tokens=3, usd=0.5), source="j", **fields)


def test_averages_both_orders_in_the_comparisons_own_a_and_b():
    outcome = both(said(0.9), said(0.3))
    assert outcome.preference == pytest.approx(0.8)
    assert [part.order for part in outcome.parts] == ["ab", "ba"]
    assert [part.preference for part in outcome.parts] == pytest.approx([0.9, 0.7])
    assert outcome.order == "both"
    assert outcome.source == "j"
    assert outcome.usage == Usage(prompt_tokens=6, usd=1.0)


def test_a_judge_that_only_sees_the_position_is_neutral():
    assert both(said(0.95), said(0.95)).preference == pytest.approx(0.5)


@given(st.floats(0, 1), st.floats(0, 1))
def test_swapping_the_comparison_swaps_the_preference(straight, swapped):
    first = both(said(straight), said(swapped)).preference
    judge = BothOrders(ByPosition(said(straight), said(swapped)))
    second = asyncio.run(judge.judge(COMPARISON.swapped(), ())).preference
    assert first == pytest.approx(1 - second)


def test_a_flip_can_abstain_and_keeps_both_orders():
    outcome = both(said(1.0), said(1.0), on_flip="abstain")
    assert isinstance(outcome, Abstention)
    assert outcome.reason == "inconsistent"
    assert [part.preference for part in outcome.parts] == [1.0, 0.0]
    assert outcome.usage.usd == 1.0


@pytest.mark.parametrize(("straight", "swapped"), [(1.0, 0.5), (0.5, 1.0), (0.5, 0.5), (0.8, 0.4)])
def test_ties_and_agreement_are_no_flip(straight, swapped):
    assert isinstance(both(said(straight), said(swapped), on_flip="abstain"), Judgment)


def test_flipped_is_a_contradiction_of_hard_verdicts():
    assert flipped(said(0.51), said(0.49))
    assert not flipped(said(0.51), said(0.99))
    assert not flipped(said(0.5), said(0.0))


ABSTAINED = Abstention(reason="unparsed", raw="hm", usage=Usage(usd=0.25))
FAILED = Failure(error="reset", retryable=True, usage=Usage(usd=0.125))


@pytest.mark.parametrize(
    ("straight", "swapped", "kind", "usd"),
    [
        (said(1.0), ABSTAINED, Abstention, 0.75),
        (ABSTAINED, said(1.0), Abstention, 0.75),
        (said(1.0), FAILED, Failure, 0.625),
        (FAILED, ABSTAINED, Failure, 0.375),
        (ABSTAINED, FAILED, Failure, 0.375),
        (ABSTAINED, ABSTAINED, Abstention, 0.5),
    ],
)
def test_without_both_orders_there_is_no_label(straight, swapped, kind, usd):
    outcome = both(straight, swapped)
    assert isinstance(outcome, kind)
    assert outcome.order == "both"
    assert len(outcome.parts) == 2
    assert outcome.usage.usd == usd
    if kind is Failure:
        assert outcome.retryable
        assert "reset" in outcome.error
    else:
        assert outcome.reason == "unparsed"


def test_a_symmetric_judge_is_asked_once():
    inner = Symmetric(said(0.9), said(0.3))
    outcome = asyncio.run(BothOrders(inner).judge(COMPARISON, ()))
    assert outcome.preference == 0.9
    assert inner.asked == ["first"]


def test_both_orders_are_asked_at_the_same_time():
    class Waiting(ByPosition):
        async def judge(self, comparison, principles):
            self.asked.append(comparison.response_a.text)
            for _ in range(100):
                if len(self.asked) == 2:
                    return said(0.5)
                await asyncio.sleep(0.01)
            raise AssertionError("the second order was not asked while the first was open")

    assert asyncio.run(BothOrders(Waiting(None, None)).judge(COMPARISON, ())).preference == 0.5


def pair(number):
    return Comparison(
        prompt=Prompt.of(f"q{number}"), response_a=Response(text="first"), response_b=Response(text="second")
    )


def one(comparison, judge):
    return asyncio.run(OneOrder(judge).judge(comparison, ()))


def test_one_order_shows_about_half_of_a_file_swapped_and_the_same_half_each_time():
    first, again = ByPosition(said(1.0), said(1.0)), ByPosition(said(1.0), said(1.0))
    outcomes = [one(pair(number), first) for number in range(400)]
    assert 160 < first.asked.count("second") < 240
    # A judge that only sees the position favours neither system, though all of A come from one of them.
    assert 160 < sum(outcome.preference for outcome in outcomes) < 240
    assert [one(pair(number), again) for number in range(400)] == outcomes


@given(st.integers(), st.floats(0, 1), st.floats(0, 1))
def test_one_order_shows_a_comparison_and_its_swapped_twin_alike(number, straight, swapped):
    judge = ByPosition(said(straight), said(swapped))
    here, there = one(pair(number), judge), one(pair(number).swapped(), judge)
    assert judge.asked[0] == judge.asked[1]
    assert here.preference == pytest.approx(1 - there.preference)
    assert {here.order, there.order} == {"ab", "ba"}


def test_one_order_answers_in_the_comparisons_own_a_and_b():
    outcomes = {o.order: o for o in (one(pair(n), ByPosition(said(0.9), said(0.3))) for n in range(20))}
    assert {order: o.preference for order, o in outcomes.items()} == pytest.approx({"ab": 0.9, "ba": 0.7})
    assert outcomes["ba"].source == "j"
    assert outcomes["ba"].usage == Usage(prompt_tokens=3, usd=0.5)


def test_one_order_keeps_no_parts_of_another_a_and_b():
    sampled = said(0.9, parts=(said(0.8), said(1.0)))
    assert all(one(pair(number), ByPosition(sampled, sampled)).parts == () for number in range(20))


@pytest.mark.parametrize("silence", [ABSTAINED, FAILED])
def test_one_order_passes_on_what_is_no_judgment(silence):
    for number in range(20):
        outcome = one(pair(number), ByPosition(silence, silence))
        assert outcome == silence.model_copy(update={"order": outcome.order})
        assert outcome.order in ("ab", "ba")


def test_one_order_asks_a_symmetric_judge_as_it_is():
    whole = said(0.9, order="both", parts=(said(0.8), said(1.0)))
    inner = Symmetric(whole, said(0.3))
    assert [one(pair(number), inner) for number in range(20)] == [whole] * 20
    assert set(inner.asked) == {"first"}


def adaptive(comparison, judge, **options):
    return asyncio.run(AdaptiveOrders(judge, AdaptiveOrdersOptions(**options)).judge(comparison, ()))


def test_adaptive_shows_the_second_order_only_where_the_first_is_not_decisive():
    for number in range(40):
        sure, unsure = ByPosition(said(0.95), said(0.05)), ByPosition(said(0.7), said(0.3))
        decided = adaptive(pair(number), sure)
        assert decided == one(pair(number), sure)  # drawn alike
        assert decided.preference == pytest.approx(0.95)
        assert len(sure.asked) == 2
        outcome = adaptive(pair(number), unsure)
        assert outcome == asyncio.run(BothOrders(unsure).judge(pair(number), ()))
        assert [part.order for part in outcome.parts] == ["ab", "ba"]


@pytest.mark.parametrize(
    ("preference", "decisive", "asked"),
    [
        (0.9, 0.9, 1),
        (0.1, 0.9, 1),
        (0.89, 0.9, 2),
        (0.6, 0.6, 1),
        (0.5, 0.6, 2),
        (1.0, 0.9, 2),
        (0.0, 0.9, 2),
    ],
)
def test_a_verdict_that_does_not_say_how_sure_it_is_is_never_decisive(preference, decisive, asked):
    judge = ByPosition(said(preference), said(preference))
    adaptive(COMPARISON, judge, decisive=decisive)
    assert len(judge.asked) == asked


@given(st.integers(), st.floats(0, 1), st.floats(0, 1))
def test_adaptive_treats_a_comparison_and_its_swapped_twin_alike(number, straight, swapped):
    judge = ByPosition(said(straight), said(swapped))
    here, there = adaptive(pair(number), judge), adaptive(pair(number).swapped(), judge)
    assert here.preference == pytest.approx(1 - there.preference)


@pytest.mark.parametrize("silence", [ABSTAINED, FAILED])
def test_adaptive_asks_no_more_where_there_can_be_no_label(silence):
    judge = ByPosition(silence, silence)
    assert adaptive(COMPARISON, judge).kind == silence.kind
    assert len(judge.asked) == 1


def test_adaptive_abstains_on_flips_if_it_is_told_to():
    outcome = adaptive(COMPARISON, ByPosition(said(1.0), said(1.0)), on_flip="abstain")
    assert outcome.reason == "inconsistent"
    assert outcome.usage.usd == 1.0


@pytest.mark.parametrize(
    ("first", "asked"),
    [(0.9, 1), (0.1, 1), (1 - 0.1 - 1e-16, 1), (0.9 - 1e-15, 1), (0.9 - 1e-9, 2), (1 - 1e-15, 2), (1e-15, 2)],
)
def test_adaptive_takes_what_differs_by_rounding_alone_for_the_same(first, asked):
    judge = ByPosition(said(first), said(first))
    adaptive(COMPARISON, judge, decisive=0.9)
    assert len(judge.asked) == asked
