from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest

from jurist.chat import ChatReply, ChatRequest, Sampling
from jurist.contracts import BatchChatModel, BatchState, ChatModel
from jurist.engine.batches import Batching
from jurist.engine.budget import Budget
from jurist.engine.engine import Engine
from jurist.engine.keys import call_key
from jurist.engine.ledger import BatchEntry, Ledger
from jurist.engine.ledger_archive import LedgerArchive
from jurist.engine.limits import Limits
from jurist.engine.metered import BatchedChatModel, metered
from jurist.engine.retry import Backoff
from jurist.errors import BudgetStop, ContractError, Interrupted, PluginError, ProviderError, UsageError
from jurist.events import Events
from jurist.prices import Price
from jurist.records import Message, Usage


def ask(text: str) -> ChatRequest:
    return ChatRequest(messages=(Message(role="user", content=text),), sampling=Sampling(max_tokens=100))


class Provider(BatchChatModel):
    """A provider in memory: batches end when they are looked at, unless a test says otherwise."""

    def __init__(self) -> None:
        super().__init__()
        self.batches: dict[str, dict[str, ChatRequest]] = {}
        self.names: dict[str, str] = {}
        self.billed: list[str] = []
        self.looks: list[Any] = []
        self.submitting: list[ProviderError] = []
        self.silent: set[str] = set()
        self.strange: set[str] = set()
        self.online = 0

    def price(self) -> Price:
        return Price(input=0, output=1_000_000, batch=0.5)

    async def complete(self, request: ChatRequest) -> ChatReply:
        self.online += 1
        return self._reply(request)

    async def submit(self, name: str, requests: Mapping[str, ChatRequest]) -> str:
        if self.submitting:
            raise self.submitting.pop(0)
        batch = f"b{len(self.batches)}"
        self.batches[batch], self.names[name] = dict(requests), batch
        return batch

    async def find(self, name: str, request_ids: Collection[str], since: float) -> str | None:
        return self.names.get(name)

    async def state(self, batch: str) -> BatchState:
        if self.looks:
            look = self.looks.pop(0)
            if isinstance(look, BaseException):
                raise look
            if isinstance(look, BatchState):
                return look
            if look == "wait":
                return BatchState(done=0, total=1, ended=False)
        return BatchState(done=1, total=1, ended=True)

    async def results(
        self, batch: str, choices: Mapping[str, Sequence[str]]
    ) -> AsyncIterator[tuple[str, ChatReply | ProviderError]]:
        for request_id, request in self.batches[batch].items():
            text = request.messages[0].content
            if text in self.strange:
                self.strange.discard(text)
                yield f"x{request_id}", self._reply(request)
            elif text in self.silent:
                self.silent.discard(text)
            else:
                self.billed.append(text)
                yield request_id, self._reply(request)

    def _reply(self, request: ChatRequest) -> ChatReply:
        return ChatReply(text=f"re: {request.messages[0].content}", usage=Usage(completion_tokens=2, usd=1.0))


async def test_what_befalls_a_whole_batch_is_no_failure_of_its_items(
    ledger: Ledger, provider: Provider
) -> None:
    provider.looks = [ProviderError("the gateway says 400")]
    model, _ = batched(provider, ledger)
    errors = await texts(model, "a", "b")
    assert [error.fatal for error in errors] == [True, True]
    assert "jurist ledger prune RUN --batches" in str(errors[0])
    again, _ = batched(provider, ledger)
    assert await texts(again, "a", "b") == ["re: a", "re: b"]
    assert len(provider.batches) == 1


async def test_a_refused_hand_in_is_tried_again_and_not_looked_for(
    ledger: Ledger, provider: Provider
) -> None:
    async def find(*_: object) -> str | None:
        raise AssertionError("a refused batch was not taken, so there is none to find")

    provider.find = find  # type: ignore[method-assign]
    provider.submitting = [ProviderError("429", retryable=True, rate_limited=True)]
    model, _ = batched(provider, ledger)
    assert await texts(model, "a") == ["re: a"]


async def test_a_call_that_waited_while_its_batch_ended_is_not_asked_again(
    ledger: Ledger, provider: Provider
) -> None:
    provider.looks = ["wait"] * 100_000
    model, engine = batched(provider, ledger)
    names = [f"q{number}" for number in range(20)]
    waiting = asyncio.create_task(texts(model, *names))
    while not provider.batches:
        await asyncio.sleep(0.01)
    engine.stop(Interrupted("stop"))
    await waiting
    provider.looks = []
    narrow, _ = batched(provider, ledger, size=5)
    narrow._meter.callee.limiter._width = 5.0
    assert await texts(narrow, *names) == [f"re: {name}" for name in names]
    assert sorted(provider.billed) == sorted(names)


async def test_two_labels_of_one_model_share_its_batches(ledger: Ledger, provider: Provider) -> None:
    engine = Engine(ledger)
    models = [
        metered(
            provider,
            engine=engine,
            label=label,
            provided_by="lab 1.0 (lab:Provider)",
            limits=Limits(concurrency=100, timeout=None),
            batching=Batching(wait=0.02, poll=0.001),
        )
        for label in ("strict", "kind")
    ]
    asked = [
        model.complete(ask(f"{n}")) for n, model in enumerate(models * 3) if isinstance(model, ChatModel)
    ]
    assert [reply.text for reply in await asyncio.gather(*asked)] == [f"re: {n}" for n in range(6)]
    await engine.release()
    assert len(provider.batches) == 1


async def test_a_stage_fills_its_batches(ledger: Ledger, provider: Provider) -> None:
    model, engine = batched(provider, ledger)

    async def both(number: int) -> int:
        await asyncio.gather(model.complete(ask(f"{number} ab")), model.complete(ask(f"{number} ba")))
        return number

    engine.batches[model._meter.owner].size = 1_000
    model._meter.callee.limiter.limits = Limits(concurrency=1_000, timeout=None)
    model._meter.callee.limiter._width = 1_000.0
    assert [number async for number in engine.map(both, range(1_500))] == list(range(1_500))
    await engine.release()
    assert len(provider.batches) <= 5


async def test_a_bug_does_not_wait_for_a_batch(ledger: Ledger, provider: Provider) -> None:
    provider.looks = ["wait"] * 100_000
    model, engine = batched(provider, ledger, poll=10)

    async def item(number: int) -> str:
        if number == 3:
            while not provider.batches:
                await asyncio.sleep(0.01)
            raise ZeroDivisionError
        return (await model.complete(ask(str(number)))).text

    async def all_of_it() -> None:
        async for _ in engine.map(item, [3, 1, 2]):
            pass

    with pytest.raises(ZeroDivisionError):
        await asyncio.wait_for(all_of_it(), 5)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger(tmp_path / "ledger.sqlite") as opened:
        yield opened


@pytest.fixture
def provider() -> Provider:
    return Provider()


def batched(
    provider: Provider, ledger: Ledger, budget: Budget | None = None, **settings: Any
) -> tuple[BatchedChatModel, Engine]:
    engine = Engine(ledger, backoff=Backoff(first=0.001), budget=budget)
    model = metered(
        provider,
        engine=engine,
        label="mine",
        provided_by="lab 1.0 (lab:Provider)",
        limits=Limits(concurrency=1000, timeout=None, attempts=3),
        batching=Batching(**{"wait": 0.01, "poll": 0.001, **settings}),
    )
    assert isinstance(model, BatchedChatModel)
    return model, engine


async def texts(model: BatchedChatModel, *asked: str) -> list[Any]:
    replies = await asyncio.gather(*(model.complete(ask(text)) for text in asked), return_exceptions=True)
    await model._meter._engine.release()
    return [reply.text if isinstance(reply, ChatReply) else reply for reply in replies]


async def test_calls_are_gathered_answered_and_kept(ledger: Ledger, provider: Provider) -> None:
    model, _ = batched(provider, ledger)
    assert await texts(model, "a", "b", "c") == ["re: a", "re: b", "re: c"]
    assert [len(batch) for batch in provider.batches.values()] == [3]
    again, _ = batched(provider, ledger)
    assert await texts(again, "c", "a") == ["re: c", "re: a"]
    assert sorted(provider.billed) == ["a", "b", "c"]
    assert ledger.tallies()["mine"].calls == 3


async def test_single_calls_and_batches_share_the_ledger(ledger: Ledger, provider: Provider) -> None:
    model, engine = batched(provider, ledger)
    await texts(model, "a")
    single = metered(
        provider,
        engine=engine,
        label="mine",
        provided_by="lab 2.0 (lab:Provider)",
        limits=Limits(),
    )
    assert isinstance(single, ChatModel)
    assert (await single.complete(ask("a"))).text == "re: a"
    assert provider.online == 0


async def test_a_request_without_an_answer_is_asked_again(ledger: Ledger, provider: Provider) -> None:
    provider.silent = {"b"}
    model, _ = batched(provider, ledger)
    assert await texts(model, "a", "b") == ["re: a", "re: b"]
    assert provider.billed == ["a", "b"]
    assert [sorted(r.messages[0].content for r in b.values()) for b in provider.batches.values()] == [
        ["a", "b"],
        ["b"],
    ]


async def test_an_answer_under_another_name_is_not_paid_for_again(ledger: Ledger, provider: Provider) -> None:
    """Read again, the batch has the right names."""
    provider.strange = {"b"}
    model, _ = batched(provider, ledger)
    assert await texts(model, "a", "b") == ["re: a", "re: b"]
    assert len(provider.batches) == 1


async def test_looks_that_fail_are_made_again(ledger: Ledger, provider: Provider) -> None:
    provider.looks = [ProviderError("502", retryable=True), "wait", ProviderError("503", retryable=True)]
    model, _ = batched(provider, ledger)
    assert await texts(model, "a") == ["re: a"]
    assert len(provider.batches) == 1


async def test_a_batch_that_cannot_be_looked_at_ends_the_run_and_stays(
    ledger: Ledger, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("jurist.engine.batches._PATIENCE", 3)
    provider.looks = [ProviderError("502", retryable=True)] * 3
    model, engine = batched(provider, ledger)
    (error,) = await texts(model, "a")
    assert isinstance(error, ProviderError)
    assert error.fatal
    assert engine.reason is error
    assert "stays with the provider" in str(error)
    again, _ = batched(provider, ledger)
    assert await texts(again, "a") == ["re: a"]
    assert provider.billed == ["a"]
    assert len(provider.batches) == 1


async def test_a_wrong_key_while_waiting_loses_no_batch(ledger: Ledger, provider: Provider) -> None:
    provider.looks = [ProviderError("401", fatal=True)]
    model, _ = batched(provider, ledger)
    (error,) = await texts(model, "a")
    assert isinstance(error, ProviderError)
    assert error.fatal
    again, _ = batched(provider, ledger)
    assert await texts(again, "a") == ["re: a"]
    assert len(provider.batches) == 1


async def test_a_batch_that_came_to_nothing_ends_the_run_and_is_handed_in_anew(
    ledger: Ledger, provider: Provider
) -> None:
    provider.looks = [BatchState(done=0, total=1, ended=True, failure="token limit reached")]
    model, _ = batched(provider, ledger)
    (error,) = await texts(model, "a")
    assert isinstance(error, ProviderError)
    assert error.fatal
    assert "token limit reached" in str(error)
    again, _ = batched(provider, ledger)
    assert await texts(again, "a") == ["re: a"]
    assert len(provider.batches) == 2


async def test_a_batch_that_was_not_taken_is_handed_in_again(ledger: Ledger, provider: Provider) -> None:
    provider.submitting = [ProviderError("connection lost", retryable=True)]
    model, _ = batched(provider, ledger)
    assert await texts(model, "a") == ["re: a"]
    assert len(provider.batches) == 1


async def test_a_batch_that_was_taken_although_the_connection_broke_is_not_handed_in_again(
    ledger: Ledger, provider: Provider
) -> None:
    submit = provider.submit

    async def breaks(name: str, requests: Mapping[str, ChatRequest]) -> str:
        await submit(name, requests)
        raise ProviderError("connection lost", retryable=True)

    provider.submit = breaks  # type: ignore[method-assign]
    model, _ = batched(provider, ledger)
    assert await texts(model, "a") == ["re: a"]
    assert len(provider.batches) == 1


async def test_a_batch_that_died_before_it_was_handed_in_is_asked_anew(
    ledger: Ledger, provider: Provider
) -> None:
    model, _ = batched(provider, ledger)
    key, _ = call_key(model._meter.asked_of, "complete", (ask("a"),))
    entry = BatchEntry(
        name="jurist-lost",
        owner=model._meter.owner,
        begun=time.time(),
        keys={"jurist-lost-0": key},
        choices={},
    )
    ledger.begin_batch(entry)
    assert await texts(model, "a") == ["re: a"]
    assert ledger.open_batches(model._meter.owner) == []
    assert provider.billed == ["a"]


async def test_a_full_disk_is_told_to_whoever_waits(
    ledger: Ledger, provider: Provider, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise UsageError("the disk is full")

    model, _ = batched(provider, ledger)
    with monkeypatch.context() as patched:
        patched.setattr(ledger, "end_batch", full)
        (error,) = await texts(model, "a")
    assert isinstance(error, UsageError)
    again, _ = batched(provider, ledger)
    assert await texts(again, "a") == ["re: a"]
    assert len(provider.batches) == 1
    third, _ = batched(provider, ledger)
    with monkeypatch.context() as patched:
        patched.setattr(ledger, "begin_batch", full)
        (error,) = await texts(third, "b")
    assert isinstance(error, UsageError)


class Odd(Provider):
    """Comes upon a row that it cannot read, after two that it can, while it is ``odd``."""

    odd = True

    async def results(
        self, batch: str, choices: Mapping[str, Sequence[str]]
    ) -> AsyncIterator[tuple[str, ChatReply | ProviderError]]:
        read = 0
        async for row in super().results(batch, choices):
            if read == 2 and self.odd:
                raise TypeError("string indices must be integers")
            read += 1
            yield row


async def test_a_bug_in_reading_a_batch_ends_the_run_and_loses_nothing(ledger: Ledger) -> None:
    provider = Odd()
    model, engine = batched(provider, ledger)
    errors = await texts(model, "a", "b", "c", "d")
    assert [type(error) for error in errors] == [ContractError] * 4
    assert "'mine' raised an error that it should have handled" in str(errors[0])
    assert "TypeError: string indices must be integers (test_batches.py" in str(errors[0])
    assert engine.reason is errors[0]
    assert len(ledger.open_batches(model._meter.owner)) == 1
    assert ledger.tallies()["mine"].calls == 2  # what was received before
    assert engine.budget.spent.usd == 2
    provider.odd = False
    again, engine = batched(provider, ledger)
    assert await texts(again, "a", "b", "c", "d") == ["re: a", "re: b", "re: c", "re: d"]
    assert len(provider.batches) == 1
    assert engine.budget.spent.usd == 4


async def test_a_bug_in_reading_a_batch_ends_the_run_though_nobody_waits_for_it(ledger: Ledger) -> None:
    provider = Odd()
    await left_under_way(provider, ledger, "a", "b", "c")
    model, engine = batched(provider, ledger, wait=60)
    (error,) = await texts(model, "other")
    assert isinstance(error, ContractError)
    assert engine.reason is error


async def test_a_bug_in_handing_in_ends_the_run(ledger: Ledger, provider: Provider) -> None:
    provider.submitting = [KeyError("id")]  # type: ignore[list-item]
    model, engine = batched(provider, ledger)
    (error,) = await texts(model, "a")
    assert isinstance(error, ContractError)
    assert engine.reason is error
    again, _ = batched(provider, ledger)
    assert await texts(again, "a") == ["re: a"]


async def test_an_observer_that_raises_in_a_batch_ends_the_run(ledger: Ledger, provider: Provider) -> None:
    class Broken(Events):
        def notice(self, component: str, text: str) -> None:
            raise PluginError("the tracker is down")

    model, engine = batched(provider, ledger)
    engine.batches[model._meter.owner]._events = Broken()
    (error,) = await texts(model, "a")
    assert isinstance(error, PluginError)
    assert engine.reason is error
    again, _ = batched(provider, ledger)
    assert await texts(again, "a") == ["re: a"]
    assert len(provider.batches) == 1


async def left_under_way(provider: Provider, ledger: Ledger, *asked: str) -> BatchedChatModel:
    """Hand in a batch, and stop before it has ended."""
    provider.looks = ["wait"] * 100_000
    model, engine = batched(provider, ledger)
    waiting = asyncio.create_task(texts(model, *asked))
    while not provider.batches:
        await asyncio.sleep(0.01)
    engine.stop(Interrupted("stop"))
    await waiting
    provider.looks = []
    return model


async def test_what_nobody_waits_for_any_more_counts_against_the_cap(
    ledger: Ledger, provider: Provider
) -> None:
    await left_under_way(provider, ledger, *"abcdefghij")
    model, engine = batched(provider, ledger, Budget(max_usd=55))
    assert await texts(model, "x") == ["re: x"]  # 50 dollars at most
    assert engine.budget.spent.usd == ledger.totals().usd == 11
    (stopped,) = await texts(model, "y")
    assert isinstance(stopped, BudgetStop)


async def test_a_reply_that_is_awaited_counts_once(ledger: Ledger, provider: Provider) -> None:
    await left_under_way(provider, ledger, "a", "b", "c")
    model, engine = batched(provider, ledger)
    assert await texts(model, "a", "b", "x") == ["re: a", "re: b", "re: x"]
    assert engine.budget.spent.usd == ledger.totals().usd == 4


@pytest.mark.parametrize("awaited", [True, False])
async def test_a_request_that_was_billed_and_not_answered_counts_once(
    ledger: Ledger, provider: Provider, awaited: bool
) -> None:
    await left_under_way(provider, ledger, "a")

    async def results(batch: str, choices: object) -> AsyncIterator[tuple[str, ChatReply | ProviderError]]:
        for request_id, request in provider.batches[batch].items():
            billed = ProviderError("no answer", usage=Usage(usd=3.0))
            yield request_id, billed if batch == "b0" else provider._reply(request)

    provider.results = results  # type: ignore[method-assign,assignment]
    model, engine = batched(provider, ledger)
    await texts(model, "a" if awaited else "x")
    assert ledger.charged().usd == 3
    assert engine.budget.spent.usd == (3 if awaited else 4)


def alone(provider: Provider, ledger: Ledger) -> ChatModel:
    """The model without batches."""
    single = metered(
        provider,
        engine=Engine(ledger),
        label="mine",
        provided_by="lab 1.0 (lab:Provider)",
        limits=Limits(),
    )
    assert isinstance(single, ChatModel)
    return single


async def test_requests_in_a_batch_are_not_paid_for_again_without_batches(
    ledger: Ledger, provider: Provider
) -> None:
    await left_under_way(provider, ledger, "a", "b")
    with pytest.raises(UsageError, match="'mine' has 1 batch under way") as caught:
        await alone(provider, ledger).complete(ask("a"))
    assert "set 'batch' again" in str(caught.value)
    assert "jurist ledger prune RUN --batches" in str(caught.value)
    assert provider.online == 0
    assert (await alone(provider, ledger).complete(ask("other"))).text == "re: other"


async def test_after_a_batch_was_given_up_its_requests_are_asked_one_by_one(
    tmp_path: Path, provider: Provider
) -> None:
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        await left_under_way(provider, ledger, "a", "b")
    LedgerArchive(tmp_path).prune(batches=True)
    with Ledger(tmp_path / "ledger.sqlite") as ledger:
        assert (await alone(provider, ledger).complete(ask("a"))).text == "re: a"


async def test_a_usage_in_a_batch_that_cannot_be_right_loses_no_reply(
    ledger: Ledger, provider: Provider
) -> None:
    wrong = Usage(prompt_tokens=2**63, usd=float("nan"))
    provider._reply = lambda request: ChatReply(text="paid", usage=wrong)  # type: ignore[method-assign]
    model, engine = batched(provider, ledger, Budget(max_usd=1000))
    assert await texts(model, "a", "b") == ["paid", "paid"]
    assert ledger.tallies()["mine"].calls == 2
    assert engine.budget.spent.usd == 100  # at most 50 each


async def test_a_stop_does_not_wait_for_a_batch(ledger: Ledger, provider: Provider) -> None:
    provider.looks = ["wait"] * 100_000
    model, engine = batched(provider, ledger, poll=10)
    waiting = asyncio.create_task(texts(model, "a", "b"))
    while not provider.batches:
        await asyncio.sleep(0.01)
    reason = Interrupted("stop")
    engine.stop(reason)
    assert await asyncio.wait_for(waiting, 5) == [reason, reason]


async def test_a_cap_counts_what_is_in_a_batch(ledger: Ledger, provider: Provider) -> None:
    # 100 tokens at most, at half of a dollar each: what is not known yet is taken to cost 50 dollars.
    model, _ = batched(provider, ledger, Budget(max_usd=120))
    outcomes = await texts(model, "a", "b", "c", "d")
    assert outcomes == ["re: a", "re: b", "re: c", "re: d"]
    assert [len(batch) for batch in provider.batches.values()] == [2, 2]
    other, _ = batched(provider, ledger, Budget(max_usd=4.5))
    (stopped,) = await texts(other, "e")
    assert isinstance(stopped, BudgetStop)
    assert len(provider.batches) == 2
