from __future__ import annotations

import asyncio
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pluggy
import pytest
from pydantic import SecretStr

from jurist import hookimpl, hookspecs
from jurist.chat import ChatReply, ChatRequest, Sampling
from jurist.constitution import Principle
from jurist.contracts import Aggregator, ChatModel, Contract, Critic, Generator, Judge, Reviser, Scorer
from jurist.engine.budget import Budget
from jurist.engine.engine import Engine
from jurist.engine.ledger import Ledger
from jurist.engine.limits import Limits
from jurist.engine.metered import metered
from jurist.engine.retry import Backoff
from jurist.errors import BudgetStop, ContractError, PluginError, ProviderError
from jurist.events import Events
from jurist.options import Operational, Options
from jurist.records import (
    Abstention,
    Comparison,
    Critique,
    Failure,
    Finding,
    Judgment,
    Message,
    Prompt,
    Response,
    Score,
    Usage,
)

PROMPT = Prompt.of("How do I bake bread?", tags=("kitchen",), metadata={"row": 1})
RESPONSE = Response(text="Slowly.", source="policy", usage=Usage(usd=1.0))
OTHER = Response(text="Quickly.")
PRINCIPLES = (Principle(name="kind", description="Be kind."),)
COMPARISON = Comparison(prompt=PROMPT, response_a=RESPONSE, response_b=OTHER)
CRITIQUE = Critique(findings=(Finding(principle="kind", satisfied=True),))
REQUEST = ChatRequest(messages=(Message(role="user", content="hello"),))


class Settings(Options):
    model: str = "small"
    batch_size: Annotated[int, Operational] = 1
    api_key: SecretStr = SecretStr("")


class Scripted:
    """Gives one scripted answer after the other, and the last one for ever."""

    Options = Settings

    def __init__(self, *script: Any, **options: Any) -> None:
        super().__init__(Settings(**options))
        self.script = list(script)
        self.asked: list[tuple[Any, ...]] = []
        self.closed = 0

    async def answer(self, *arguments: Any) -> Any:
        self.asked.append(arguments)
        step = self.script.pop(0) if len(self.script) > 1 else self.script[0]
        if isinstance(step, Exception):
            raise step
        return step

    async def close(self) -> None:
        self.closed += 1


class AModel(Scripted, ChatModel):
    capabilities: ClassVar[frozenset[str]] = frozenset({"logprobs"})

    async def complete(self, request):
        return await self.answer(request)


class AGenerator(Scripted, Generator):
    async def generate(self, prompt, sampling):
        return await self.answer(prompt, sampling)


class ACritic(Scripted, Critic):
    async def critique(self, prompt, response, principles):
        return await self.answer(prompt, response, principles)


class AReviser(Scripted, Reviser):
    async def revise(self, prompt, response, critique, principles, sampling):
        return await self.answer(prompt, response, critique, principles, sampling)


class AJudge(Scripted, Judge):
    async def judge(self, comparison, principles):
        return await self.answer(comparison, principles)


class FreeJudge(AJudge):
    free: ClassVar[bool] = True


class AScorer(Scripted, Scorer):
    async def score(self, prompt, response, principles):
        return await self.answer(prompt, response, principles)


CASES = {
    "chat model": (AModel, "complete", (REQUEST,), ChatReply(text="hi", usage=Usage(seconds=1))),
    "generator": (AGenerator, "generate", (PROMPT, Sampling()), RESPONSE),
    "critic": (ACritic, "critique", (PROMPT, RESPONSE, PRINCIPLES), CRITIQUE),
    "reviser": (AReviser, "revise", (PROMPT, RESPONSE, CRITIQUE, PRINCIPLES, Sampling()), OTHER),
    "judge": (AJudge, "judge", (COMPARISON, PRINCIPLES), Judgment(preference=0.25, rationale="why")),
    "scorer": (AScorer, "score", (PROMPT, RESPONSE, PRINCIPLES), Score(value=0.5, metrics={"x": 1.0})),
}
OUTCOMES = [name for name in CASES if name != "chat model"]


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        yield ledger


@pytest.fixture
def engine(ledger: Ledger) -> Engine:
    return Engine(ledger, backoff=Backoff(first=0.001))


def meter(
    inner: Contract, engine: Engine, label: str = "mine", by: str = "lab 1.0 (lab:It)", **limits: Any
) -> Any:
    return metered(inner, engine=engine, label=label, provided_by=by, limits=Limits(**limits))


def without_time(record: Any) -> Any:
    return record.model_copy(update={"usage": record.usage.model_copy(update={"seconds": 0.0})})


@pytest.mark.parametrize("case", CASES)
async def test_it_keeps_the_contract_and_replays_what_was_answered(engine, case):
    kind, method, arguments, answer = CASES[case]
    inner = kind(answer)
    wrapped = meter(inner, engine)
    contract = kind.__mro__[2]
    assert isinstance(wrapped, contract)
    fresh = await getattr(wrapped, method)(*arguments)
    replayed = await getattr(wrapped, method)(*arguments)
    expected = answer if case == "chat model" else answer.model_copy(update={"source": "mine"})
    assert without_time(fresh) == without_time(expected)
    assert replayed == fresh
    assert inner.asked == [arguments]
    await wrapped.close()
    assert inner.closed == 1


@pytest.mark.parametrize("case", CASES)
async def test_a_wrong_type_is_a_contract_error_that_names_the_component(engine, case):
    kind, method, arguments, _ = CASES[case]
    with pytest.raises(ContractError) as caught:
        await getattr(meter(kind("A"), engine), method)(*arguments)
    assert f"'mine' gave str from {method}()" in str(caught.value)
    assert "lab 1.0 (lab:It)" in str(caught.value)


def findings(*names: str) -> Critique:
    return Critique(findings=tuple(Finding(principle=name, satisfied=True) for name in names))


@pytest.mark.parametrize("found", [["kind"], ["honest", "kind"], ["kind", "kind"], ["kind", "honest", "x"]])
@pytest.mark.parametrize("free", [False, True])
async def test_findings_that_are_not_about_the_principles_asked_break_the_contract(
    engine, ledger, found, free
):
    principles = (*PRINCIPLES, Principle(name="honest", description="Be honest."))
    critic = type("Critics", (ACritic,), {"free": free})(findings(*found))
    with pytest.raises(ContractError) as caught:
        await meter(critic, engine).critique(PROMPT, RESPONSE, principles)
    assert f"'mine' was asked about kind, honest and gave findings about {', '.join(found)}." in str(
        caught.value
    )
    assert "lab 1.0 (lab:It)" in str(caught.value)
    assert ledger.tallies() == {}  # so that a mended critic is asked anew
    mended = await meter(ACritic(findings("kind", "honest")), engine).critique(PROMPT, RESPONSE, principles)
    assert isinstance(mended, Critique)


@pytest.mark.parametrize("case", OUTCOMES)
@pytest.mark.parametrize(
    ("error", "said", "retryable"),
    [
        (ProviderError("no luck", retryable=True), "no luck", True),
        (ProviderError("cut \ud83d", cause="in an emoji \ud83d"), "cut \ufffd (in an emoji \ufffd)", False),
        (TimeoutError(), "timed out", True),
    ],
)
async def test_a_final_error_becomes_a_failure_that_is_not_stored(
    engine, ledger, case, error, said, retryable
):
    kind, method, arguments, answer = CASES[case]
    outcome = await getattr(meter(kind(error), engine, attempts=2), method)(*arguments)
    assert isinstance(outcome, Failure)
    assert outcome.source == "mine"
    assert outcome.retryable == retryable
    assert said in outcome.error
    assert ledger.tallies() == {}
    again = await getattr(meter(kind(answer), engine), method)(*arguments)
    assert again.kind == answer.kind


async def test_a_chat_model_raises_its_final_error(engine):
    model = AModel(ProviderError("500", retryable=True))
    with pytest.raises(ProviderError, match="500"):
        await meter(model, engine, attempts=3).complete(REQUEST)
    assert len(model.asked) == 3


async def test_a_fatal_error_is_raised_and_stops_the_engine(engine):
    with pytest.raises(ProviderError, match="401"):
        await meter(AJudge(ProviderError("401", fatal=True)), engine).judge(COMPARISON, PRINCIPLES)
    assert str(engine.reason) == "401\n  provided by  lab 1.0 (lab:It)"


async def test_a_returned_retryable_failure_is_tried_again(engine, ledger):
    judge = AJudge(Failure(error="busy", retryable=True), Judgment(preference=1))
    outcome = await meter(judge, engine).judge(COMPARISON, PRINCIPLES)
    assert isinstance(outcome, Judgment)
    assert len(judge.asked) == 2
    assert [component for component, _ in ledger.failures()] == ["mine"]


async def test_a_returned_final_failure_is_passed_on_whole(engine, ledger):
    failure = Failure(error="no", raw="<html>", order="ab")
    judge = AJudge(failure)
    outcome = await meter(judge, engine).judge(COMPARISON, PRINCIPLES)
    assert outcome == failure.model_copy(update={"source": "mine"})
    assert len(judge.asked) == 1
    await meter(judge, engine).judge(COMPARISON, PRINCIPLES)
    assert len(judge.asked) == 2  # it was not kept as an answer


async def test_a_returned_failure_counts_in_the_budget_with_what_it_cost(ledger):
    engine = Engine(ledger, budget=Budget(max_usd=1.0), backoff=Backoff(first=0.001))
    judge = AJudge(Failure(error="no", usage=Usage(usd=0.4)))
    for _ in range(2):
        assert isinstance(await meter(judge, engine).judge(COMPARISON, PRINCIPLES), Failure)
    assert engine.budget.spent.usd == pytest.approx(0.8)
    with pytest.raises(BudgetStop):
        await meter(judge, engine).judge(COMPARISON, PRINCIPLES)
    assert len(judge.asked) == 2


async def test_an_abstention_is_an_answer_and_is_kept(engine):
    judge = AJudge(Abstention(reason="refused", detail="no"))
    wrapped = meter(judge, engine)
    outcomes = [await wrapped.judge(COMPARISON, PRINCIPLES) for _ in range(2)]
    assert [outcome.reason for outcome in outcomes] == ["refused", "refused"]
    assert len(judge.asked) == 1


async def asked_anew(engine: Engine, second: Scripted, **other: Any) -> bool:
    """Whether ``second`` is asked what an equal judge, labelled 'mine', has already answered."""
    await meter(AJudge(Judgment(preference=1)), engine).judge(COMPARISON, PRINCIPLES)
    arguments = {"comparison": COMPARISON, "principles": PRINCIPLES}
    arguments |= {name: other.pop(name) for name in list(other) if name in arguments}
    outcome = await meter(second, engine, **other).judge(**arguments)
    assert outcome.source == other.get("label", "mine")
    return bool(second.asked)


SAME = Judgment(preference=1)


@pytest.mark.parametrize(
    "change",
    [
        {"label": "another name"},
        {"by": "lab 2.0.1rc1 (lab:It)"},
        {"concurrency": 1},
        {"comparison": COMPARISON.model_copy(update={"response_a": Response(text="Slowly.")})},
        {"principles": list(PRINCIPLES)},
    ],
)
async def test_what_does_not_change_the_answer_asks_nothing_anew(engine, change):
    assert not await asked_anew(engine, AJudge(SAME, batch_size=8, api_key="secret"), **change)


@pytest.mark.parametrize(
    ("options", "change"),
    [
        ({"model": "large"}, {}),
        ({}, {"by": "lab 1.0 (lab:Other)"}),
        ({}, {"by": "laboratory 1.0 (lab:It)"}),
        ({}, {"comparison": COMPARISON.swapped()}),
        ({}, {"principles": (Principle(name="kind", description="Be very kind."),)}),
    ],
)
async def test_what_may_change_the_answer_asks_anew(engine, options, change):
    assert await asked_anew(engine, AJudge(SAME, **options), **change)


async def test_samples_and_roles_are_told_apart(engine):
    model = AModel(ChatReply(text="hi"))
    wrapped = meter(model, engine)
    for sample in (0, 1, 1, 0):
        await wrapped.complete(REQUEST.model_copy(update={"sample": sample}))
    assert [request.sample for (request,) in model.asked] == [0, 1]


async def test_the_identity_is_asked_once_and_passed_on(engine):
    class Fingerprinted(AModel):
        asked_identity = 0

        def identity(self):
            self.asked_identity += 1
            return {"weights": "sha256"}

    inner = Fingerprinted(ChatReply())
    wrapped = meter(inner, engine)
    for sample in range(3):
        await wrapped.complete(REQUEST.model_copy(update={"sample": sample}))
    assert wrapped.identity() == {"weights": "sha256"}
    assert inner.asked_identity == 1
    assert wrapped.capabilities == {"logprobs"}
    assert wrapped.options is inner.options
    assert AModel.capabilities == {"logprobs"}


async def test_a_free_component_is_neither_stored_nor_budgeted(ledger):
    engine = Engine(ledger, budget=Budget(max_usd=0.5), backoff=Backoff(first=0.001))
    free = FreeJudge(Judgment(preference=1, usage=Usage(usd=10)))
    wrapped = meter(free, engine)
    for _ in range(3):
        outcome = await wrapped.judge(COMPARISON, PRINCIPLES)
        assert outcome.source == "mine"
    assert wrapped.free
    assert len(free.asked) == 3
    assert ledger.tallies() == {}
    assert engine.budget.spent.usd == 0
    broken = FreeJudge(ProviderError("503", retryable=True))
    assert isinstance(await meter(broken, engine).judge(COMPARISON, PRINCIPLES), Failure)
    assert len(broken.asked) == 1  # retries belong to the calls inside


@pytest.mark.parametrize("kind", [AJudge, FreeJudge])
async def test_a_bug_in_a_component_is_no_failure_of_its_item(engine, kind):
    with pytest.raises(ContractError) as caught:
        await meter(kind(ValueError("a bug")), engine).judge(COMPARISON, PRINCIPLES)
    for part in ("'mine'", "lab 1.0 (lab:It)", "ValueError: a bug (test_metered.py"):
        assert part in str(caught.value)


async def test_an_observer_that_raises_stops_the_run_whatever_role_makes_the_call(ledger):
    class Tracker:
        @hookimpl
        def jurist_call(self, component):
            raise RuntimeError(f"no room for {component}")

    plugins = pluggy.PluginManager("jurist")
    plugins.add_hookspecs(hookspecs)
    plugins.register(Tracker(), name="tracker")
    engine = Engine(ledger, events=Events(plugins.hook))
    model = meter(AModel(ChatReply(text="hi")), engine, label="inside")

    class Role(FreeJudge):
        async def judge(self, comparison, principles):
            await model.complete(REQUEST)
            return SAME

    with pytest.raises(PluginError, match="plugin 'tracker'") as caught:
        await meter(Role(SAME), engine, label="role").judge(COMPARISON, PRINCIPLES)
    assert "RuntimeError: no room for inside" in str(caught.value)
    assert ledger.tallies()["inside"].calls == 1


async def test_a_free_component_that_waits_for_metered_calls_does_not_time_out(engine):
    class Wrapper(FreeJudge):
        async def judge(self, comparison, principles):
            await asyncio.sleep(0.05)
            return SAME

    outcome = await meter(Wrapper(SAME), engine, timeout=0.01).judge(COMPARISON, PRINCIPLES)
    assert isinstance(outcome, Judgment)


async def test_the_budget_passes_through_as_a_stop_and_not_as_a_failure(ledger):
    engine = Engine(ledger, budget=Budget(max_usd=0.5))
    wrapped = meter(AJudge(Judgment(preference=1, usage=Usage(usd=0.4))), engine)
    await wrapped.judge(COMPARISON, PRINCIPLES)
    with pytest.raises(BudgetStop) as caught:
        await wrapped.judge(COMPARISON.swapped(), PRINCIPLES)
    assert engine.reason is caught.value  # so that nothing else begins either


async def test_half_an_emoji_at_the_end_of_a_text_loses_no_paid_reply(engine):
    judge = AJudge(Judgment(preference=1, raw="A \U0001f600 \ud83d"))
    outcomes = [await meter(judge, engine).judge(COMPARISON, PRINCIPLES) for _ in range(2)]
    assert [outcome.raw for outcome in outcomes] == ["A \U0001f600 \ufffd"] * 2
    assert len(judge.asked) == 1


@pytest.mark.parametrize("retryable", [False, True])
async def test_half_an_emoji_in_a_returned_failure_is_logged_retried_and_passed_on(engine, ledger, retryable):
    failure = Failure(error="busy \ud83d", raw="<\ud83d>", retryable=retryable)
    outcome = await meter(AJudge(failure), engine, attempts=2).judge(COMPARISON, PRINCIPLES)
    assert (outcome.error, outcome.raw) == ("busy \ufffd", "<\ufffd>")
    assert "busy \ufffd" in outcome.to_json()
    assert ledger.failures() == [("mine", "busy \ufffd\n  provided by  lab 1.0 (lab:It)")] * (1 + retryable)


@pytest.mark.parametrize("kind", [AJudge, AModel])
async def test_half_an_emoji_in_what_is_asked_reaches_no_component(engine, kind):
    half = "cut in an emoji \ud83d"
    if kind is AJudge:
        inner = AJudge(SAME)
        asked = Comparison(prompt=Prompt.of(half), response_a=RESPONSE, response_b=OTHER)
        await meter(inner, engine).judge(asked, PRINCIPLES)
        ((received, _),) = inner.asked
        assert received.prompt.messages[0].content == "cut in an emoji \ufffd"
    else:
        inner = AModel(ChatReply(text="hi"))
        request = ChatRequest(messages=(Message(role="user", content=half),))
        for _ in range(2):
            await meter(inner, engine).complete(request)
        ((received,),) = inner.asked
        assert received.messages[0].content == "cut in an emoji \ufffd"


async def test_a_usage_that_cannot_be_right_is_not_in_a_returned_failure(engine):
    failure = Failure(error="no", usage=Usage(usd=math.nan, prompt_tokens=-3))
    outcome = await meter(AJudge(failure), engine).judge(COMPARISON, PRINCIPLES)
    assert outcome.usage == Usage()


@pytest.mark.parametrize(("metadata", "calls"), [({"b": {"d": 1, "c": 2}, "a": 3}, 1), ({"a": 4}, 2)])
async def test_the_order_of_metadata_asks_nothing_anew(engine, metadata, calls):
    judge = AJudge(SAME)
    for given in ({"a": 3, "b": {"c": 2, "d": 1}}, metadata):
        asked = COMPARISON.model_copy(update={"prompt": PROMPT.model_copy(update={"metadata": given})})
        await meter(judge, engine).judge(asked, PRINCIPLES)
    assert len(judge.asked) == calls


async def test_infinite_log_probabilities_come_back_as_they_were(engine):
    model = AModel(ChatReply(choice_logprobs=(-math.inf, 0.0)))
    replies = [await meter(model, engine).complete(REQUEST) for _ in range(2)]
    assert [reply.choice_logprobs for reply in replies] == [(-math.inf, 0.0)] * 2
    assert len(model.asked) == 1


async def test_what_has_no_calls_cannot_be_metered(engine):
    class Majority(Aggregator):
        def decide(self, comparison, outcomes):
            raise NotImplementedError

    with pytest.raises(TypeError, match="Majority"):
        meter(Majority(), engine)
