"""What is wrong with a jury as a whole, told before anybody is asked."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import pytest

from jurist.errors import UsageError
from jurist.preflight import check
from jurist.recipe import Recipe
from jurist.testing import ScriptedChatModel

Write = Callable[..., str]
CHEAP = {"use": "constant", "name": "cheap", "preference": 0.6}
STRONG = {"use": "constant", "name": "strong", "preference": 0.9}
CASCADE = {"use": "cascade", "judges": [CHEAP, STRONG]}
COT = {"use": "choosing", "chain_of_thought": True, "labels": "logprobs"}
POLICY = {"use": "chat", "replies": ["Verdict: A"]}


class Choosing(ScriptedChatModel):
    """A chat model that gives log-probabilities."""

    capabilities: ClassVar[frozenset[str]] = frozenset({"logprobs"})


@pytest.fixture
def faults(source: Any, write_rows: Write, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    """The faults of a jury in a recipe, as they are told; '' where there are none."""
    monkeypatch.setattr("jurist.testing.fakes.Choosing", Choosing, raising=False)
    source.offer("chat_model", "choosing", "jurist.testing.fakes:Choosing")
    path = write_rows({"prompt": "q", "response_a": "one", "response_b": "two"}, name="pairs.jsonl")

    def told(*judges: Any, policy: Any = None, **stage: Any) -> str:
        stage = {"stage": "compare", "pairs": path, "judges": list(judges), "principles": "none", **stage}
        try:
            check(Recipe.of({"stages": [stage], **({"policy": policy} if policy else {})}), source)
        except UsageError as error:
            return str(error)
        return ""

    return told


# --- names ---------------------------------------------------------------------------------------------


def test_two_judges_with_one_name_are_a_fault(faults: Callable[..., str]) -> None:
    assert "compare.judges: 2 judges are called 'constant'" in faults("constant", {"use": "constant"})
    assert "'x'" in faults({**CHEAP, "name": "x"}, {**STRONG, "name": "x"})
    assert faults(CHEAP, STRONG) == ""


def test_a_policy_among_the_judges_has_the_name_of_its_component(faults: Callable[..., str]) -> None:
    other = {"use": "chat", "replies": ["Verdict: B"]}
    assert "2 judges are called 'chat'" in faults("policy", other, policy=POLICY)
    assert faults("policy", {**other, "name": "other"}, policy=POLICY) == ""
    inside = {"use": "repeat", "judge": {**other, "temperature": 1}}
    assert "judges.1.judge: another judge is called 'chat' too" in faults("policy", inside, policy=POLICY)


def test_a_name_that_a_judge_inside_shares_is_a_fault_in_any_order(faults: Callable[..., str]) -> None:
    other = {**CHEAP, "preference": 0.7}
    assert "judges.1.judges.0: another judge is called 'cheap' too" in faults(other, CASCADE)
    assert "judges.1: another judge is called 'cheap' too" in faults(CASCADE, other)
    assert faults(CHEAP, CASCADE) == ""  # the same judge in two places is one judge


def test_names_are_told_beside_what_is_wrong_with_another_judge(faults: Callable[..., str]) -> None:
    text = faults("constant", {"use": "constant"}, {"use": "nobody"})
    assert "2 judges are called 'constant'" in text
    assert "no judge 'nobody'" in text


# --- in turn -------------------------------------------------------------------------------------------


def test_judges_in_turn_are_in_vain_where_any_one_of_them_decides(faults: Callable[..., str]) -> None:
    def told(*aggregate: Any, judges: Any = (CHEAP, STRONG)) -> str:
        return faults(*judges, ask="in_turn", aggregate=list(aggregate))

    said = "decides by any single judgment, so with 'ask: in_turn' a second judge would never be asked"
    assert f"compare.aggregate.0: 'majority' {said}" in told("majority")
    assert f"aggregate.0: 'confidence' {said}" in told({"use": "confidence", "threshold": 0.5}, "majority")
    assert f"aggregate.0: 'majority' {said}" in faults(CHEAP, STRONG, ask="in_turn")
    assert told({"use": "majority", "min_votes": 2}, "majority") == ""
    assert told("confidence", "majority") == ""  # goes on from whoever is not sure
    assert told("majority", judges=[CHEAP]) == ""
    assert faults(CHEAP, STRONG, aggregate=["majority"]) == ""


# --- samples -------------------------------------------------------------------------------------------


def test_samples_that_are_all_alike_are_a_fault(faults: Callable[..., str]) -> None:
    def repeated(**options: Any) -> str:
        return faults({"use": "repeat", "judge": {"use": "choosing", "temperature": 0.7, **options}})

    cold = {"use": "repeat", "judge": {"use": "cascade", "judges": ["choosing", "constant"]}}
    assert "judges.0.judge.judges.0: at temperature 0 all samples are alike" in faults(cold)
    alike = "judges.0.judge: log-probabilities are alike in all samples"
    assert alike in repeated()
    assert alike in repeated(labels="logprobs")
    assert repeated(labels="verdict") == ""
    assert repeated(labels="stated") == ""
    assert repeated(chain_of_thought=True) == ""
    assert repeated(labels="logprobs", chain_of_thought=True) == ""


# --- cascades ------------------------------------------------------------------------------------------

BLIND = "writes verdicts, which in one order do not say how sure it is"


@pytest.mark.parametrize(
    ("first", "place"),
    [
        ({"use": "chat"}, "judges.0.judges.0: 'chat'"),
        ({"use": "choosing", "labels": "verdict"}, "judges.0.judges.0: 'choosing'"),
        ({"use": "choosing", "chain_of_thought": True}, "judges.0.judges.0: 'choosing'"),
        (
            {"use": "route", "by_tag": {"code": "constant"}, "otherwise": "chat"},
            "judges.0.judges.0.otherwise: 'chat'",
        ),
        (
            {"use": "cascade", "name": "in", "judges": ["constant", "chat"]},
            "judges.0.judges.0.judges.1: 'chat'",
        ),
    ],
)
def test_a_cascade_that_would_never_go_on_is_a_fault(
    first: Any, place: str, faults: Callable[..., str]
) -> None:
    judge = {"use": "cascade", "judges": [first, STRONG]}
    assert f"{place} {BLIND}" in faults(judge, orders="one")
    assert faults(judge) == ""  # in both orders it is sure exactly when they agree
    assert faults(judge, orders="adaptive") == ""


@pytest.mark.parametrize(
    "judges",
    [
        [CHEAP, "chat"],  # nobody comes after the last one
        ["choosing", "constant"],
        [{"use": "chat", "labels": "stated"}, "constant"],
        [{"use": "repeat", "judge": {"use": "chat", "temperature": 1}}, "constant"],
    ],
)
def test_a_cascade_may_begin_with_whoever_says_how_sure_it_is(
    judges: list[Any], faults: Callable[..., str]
) -> None:
    assert faults({"use": "cascade", "judges": judges}, orders="one") == ""


@pytest.mark.parametrize(
    ("first", "sure", "fault"),
    [
        (COT, 0.8, "gives no side more than 0.6, so it is never as 'sure' as 0.8"),
        (COT, 0.6, ""),
        ({**COT, "clamp": [0.2, 0.6]}, 0.8, ""),  # it can be sure of B
        ({**COT, "clamp": None}, 1, ""),
        ({"use": "repeat", "judge": {**COT, "temperature": 1}}, 0.8, "judge: 'choosing' gives no side"),
        ({"use": "chat", "labels": "stated"}, 0.99, ""),
        ({"use": "chat", "labels": "stated"}, 1, "gives no side more than 0.99"),
        ({"use": "chat", "labels": "stated", "confidence": "words"}, 0.95, "no side more than 0.9,"),
        ({"use": "chat", "labels": "stated", "confidence": "words"}, 0.9, ""),
    ],
)
@pytest.mark.parametrize("orders", ["one", "both"])
def test_a_judge_that_can_never_be_sure_enough_is_a_fault(
    first: Any, sure: float, fault: str, orders: str, faults: Callable[..., str]
) -> None:
    text = faults({"use": "cascade", "sure": sure, "judges": [first, STRONG]}, orders=orders)
    assert fault in text
    assert bool(text) == bool(fault)
