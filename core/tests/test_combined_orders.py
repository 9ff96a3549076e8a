"""The orders that judges of judges were shown: what is kept of them, recorded, and read again."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from jurist.contracts import Judge
from jurist.judges import Cascade, Criteria, Repeat, Route
from jurist.judges.combined import mean_of, shared, silence_of
from jurist.judges.orders import AdaptiveOrders, BothOrders, BothOrdersOptions, OneOrder, inside
from jurist.records import (
    Abstention,
    Comparison,
    Failure,
    JudgeOutcome,
    Judgment,
    OnFlip,
    Order,
    Prompt,
    Response,
    Usage,
)
from jurist.stages.judge_counts import JudgeCounts
from jurist.validation.labelled import LabelledItem, Provenance, read_labelled, votes_of


class FirstSlot(Judge):
    """Prefers what is shown first."""

    async def judge(self, comparison: Comparison, principles: Any) -> JudgeOutcome:
        return Judgment(preference=1.0, source="m", usage=Usage(prompt_tokens=1))


class Longer(Judge):
    """Prefers the longer response, in any order."""

    capabilities = frozenset({"symmetric"})

    async def judge(self, comparison: Comparison, principles: Any) -> JudgeOutcome:
        more = len(comparison.response_a.text) - len(comparison.response_b.text)
        return Judgment(preference=0.5 + 0.1 * (more > 0) - 0.1 * (more < 0), source="longer")


class InTurn(Judge):
    """Says one thing of what is shown in the order A-B, another in B-A; by the sample."""

    def __init__(self, *said: tuple[JudgeOutcome | float, JudgeOutcome | float]) -> None:
        super().__init__()
        self._said = said

    async def judge(self, comparison: Comparison, principles: Any) -> JudgeOutcome:
        pair = self._said[comparison.sample % len(self._said)]
        said = pair[0] if comparison.response_a.text == "a" else pair[1]
        return Judgment(preference=said, source="j") if isinstance(said, float) else said


SILENT = Abstention(reason="unparsed", source="j")
FAILED = Failure(error="reset", retryable=True, source="j")
PAIR = Comparison(prompt=Prompt.of("q"), response_a=Response(text="a"), response_b=Response(text="bb"))


def pair(number: int) -> Comparison:
    return Comparison(
        prompt=Prompt.of(f"q{number}"),
        response_a=Response(text=f"a{number}"),
        response_b=Response(text=f"b{number}"),
    )


def repeat(judge: Judge, samples: int = 2) -> Repeat:
    return Repeat(Repeat.Options(judge="x", samples=samples), {"judge": judge})


def cascade(*judges: Judge) -> Cascade:
    options = Cascade.Options(judges=("x",) * len(judges))
    return Cascade(options, {f"judges.{number}": judge for number, judge in enumerate(judges)})


def said(judge: Judge, comparison: Comparison = PAIR) -> JudgeOutcome:
    return asyncio.run(judge.judge(comparison, ())).model_copy(update={"source": "whole"})


def read_again(outcome: JudgeOutcome, on_flip: OnFlip = "average") -> JudgeOutcome:
    """The outcome of votes that were written and read."""
    votes = votes_of([outcome], Provenance(), on_flip)
    item = LabelledItem(item="x", label="A", votes=votes, on_flip=on_flip)
    (found,) = LabelledItem.model_validate_json(item.to_json()).outcomes
    return found


@pytest.mark.parametrize(
    "judge",
    [
        repeat(OneOrder(FirstSlot())),
        cascade(OneOrder(FirstSlot()), OneOrder(FirstSlot())),
        cascade(OneOrder(Longer()), OneOrder(FirstSlot())),
        repeat(repeat(OneOrder(FirstSlot()))),
    ],
)
def test_in_one_order_the_outcome_says_which_was_shown(judge: Judge) -> None:
    outcomes = [said(judge, pair(number)) for number in range(40)]
    assert {outcome.order for outcome in outcomes} == {"ab", "ba"}
    for outcome in outcomes:
        assert isinstance(outcome, Judgment)
        assert (outcome.preference == 1) == (outcome.order == "ab")  # what was shown first
        (vote,) = votes_of([outcome], Provenance())
        assert vote.order == outcome.order


@pytest.mark.parametrize(
    "judge",
    [
        repeat(BothOrders(FirstSlot())),
        cascade(BothOrders(FirstSlot()), BothOrders(FirstSlot())),
        Criteria(Criteria.Options(judge="x"), {"judge": BothOrders(FirstSlot())}),
        Route(Route.Options(by_tag={"t": "x"}, otherwise="x"), {"otherwise": BothOrders(FirstSlot())}),
        repeat(cascade(BothOrders(FirstSlot()), BothOrders(FirstSlot()))),
    ],
)
def test_in_both_orders_the_outcome_can_be_taken_apart_by_order(judge: Judge) -> None:
    outcome = said(judge)
    assert isinstance(outcome, Judgment)
    assert (outcome.order, outcome.preference) == ("both", 0.5)
    assert [(part.order, getattr(part, "preference", None)) for part in outcome.parts] == [
        ("ab", 1.0),
        ("ba", 0.0),
    ]
    assert outcome.usage == sum((part.usage for part in inside(outcome)), Usage())
    again = read_again(outcome)
    assert [(part.order, getattr(part, "preference", None)) for part in again.parts] == [
        ("ab", 1.0),
        ("ba", 0.0),
    ]


def test_a_judge_to_whom_the_order_is_all_the_same_speaks_in_both() -> None:
    for orders in (BothOrders, OneOrder, AdaptiveOrders):
        assert said(orders(Longer())).order == "either"
        assert read_again(said(orders(Longer()))).order == "either"
    outcome = said(cascade(BothOrders(FirstSlot()), BothOrders(Longer())))
    assert isinstance(outcome, Judgment)
    assert outcome.order == "both"
    assert outcome.preference == 0.4
    assert [getattr(part, "preference", None) for part in outcome.parts] == [0.4, 0.4]
    assert outcome.usage.prompt_tokens == 2
    assert [part.order for part in inside(outcome)] == ["both", "either"]


def test_what_mixes_orders_says_so() -> None:
    def outcome(order: Order) -> Judgment:
        return Judgment(preference=0.75, order=order)

    assert mean_of([outcome("ab"), outcome("ba")]).order == "mixed"
    assert mean_of([outcome("ab"), said(BothOrders(FirstSlot()))]).order == "mixed"
    assert shared([said(BothOrders(FirstSlot()))])["order"] == "mixed"  # nobody says what either order was
    found = read_again(mean_of([outcome("ab"), outcome("ba")]).model_copy(update={"source": "j"}))
    assert found.order == "mixed"
    assert isinstance(found, Judgment)
    assert found.preference == 0.75


@pytest.mark.parametrize(
    "samples",
    [
        [(0.9, 0.4), (0.7, 0.2), (0.35, 0.8)],
        [(0.9, 0.4), (SILENT, 0.2)],  # half of one is missing: the other speaks
        [(0.9, SILENT), (SILENT, 0.2)],
        [(0.9, FAILED), (SILENT, 0.2)],
        [(1.0, 1.0), (1.0, 1.0)],  # flips
        [(0.0, 0.0), (1.0, 1.0)],
        [(0.9, 0.5), (0.3, 0.6), (0.6, 0.4)],
    ],
)
@pytest.mark.parametrize("on_flip", ["average", "abstain"])
def test_votes_that_are_read_again_say_what_was_said(samples: list[Any], on_flip: OnFlip) -> None:
    both = BothOrders(InTurn(*samples), BothOrdersOptions(on_flip=on_flip))
    outcome = said(repeat(both, len(samples)))
    assert outcome.order == "both"
    again = read_again(outcome, on_flip)
    assert again.kind == outcome.kind
    if isinstance(outcome, Judgment):
        assert isinstance(again, Judgment)
        assert again.preference == outcome.preference
    if isinstance(outcome, Abstention):
        assert isinstance(again, Abstention)
        assert again.reason == outcome.reason


def test_a_side_that_only_the_mean_contradicts_itself_about_stays_one_vote() -> None:
    """Each sample is consistent (a tie contradicts nothing), but the means of the two orders are not."""
    both = BothOrders(InTurn((0.9, 0.5), (0.3, 0.55)), BothOrdersOptions(on_flip="abstain"))
    outcome = said(repeat(both))
    assert isinstance(outcome, Judgment)
    assert [getattr(part, "preference", 0) > 0.5 for part in outcome.parts] == [True, False]
    (vote,) = votes_of([outcome], Provenance(), "abstain")
    assert (vote.order, vote.preference) == ("mixed", outcome.preference)
    assert len(votes_of([outcome], Provenance(), "average")) == 2


def test_silence_keeps_what_the_silent_one_said_in_either_order() -> None:
    parts = [said(BothOrders(InTurn((0.9, 0.1)))), said(BothOrders(InTurn((0.9, SILENT))))]
    outcome = silence_of(parts)
    assert isinstance(outcome, Abstention)
    assert [part.kind for part in outcome.parts] == ["judgment", "abstention"]
    assert [len(part.parts) for part in outcome.parts] == [2, 2]
    assert [part.kind for part in inside(outcome)] == ["judgment", "abstention"]


def test_judges_inside_are_counted_as_they_were_asked() -> None:
    counts = JudgeCounts("abstain")
    both = BothOrders(FirstSlot(), BothOrdersOptions(on_flip="abstain"))
    counts.add([said(cascade(both, both))])
    found = counts.summary()
    assert found["m"] == {
        "comparisons": 2,
        "asked": 4,
        "judgments": 4,
        "inconsistent": 2,
        "flips": 2,
        "flips_to_first": 2,
    }
    assert found["whole"]["inconsistent"] == 1


def test_votes_of_one_judge_of_which_nobody_knows_the_order_are_refused() -> None:
    votes = [{"judge": "j", "order": order, "verdict": "A"} for order in ("ab", "either")]
    with pytest.raises(ValueError, match="the votes of 'j' are of ab and either"):
        read_labelled({"item": "x", "label": "A", "votes": votes})
