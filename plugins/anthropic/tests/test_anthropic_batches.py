import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

import pytest
from aiohttp import web

from jurist.chat import ChatReply, ChatRequest
from jurist.contracts import BatchState
from jurist.errors import ProviderError
from jurist.testing.simulator import Faults, Simulator
from jurist_anthropic.model import AnthropicChatModel

Ask = Callable[..., ChatRequest]
Make = Callable[..., AnthropicChatModel]
Outcomes = dict[str, ChatReply | ProviderError]


def some(ask: Ask, count: int, name: str = "jurist-1") -> Mapping[str, ChatRequest]:
    return {f"{name}-{number}": ask(f"question {number}", temperature=0.5) for number in range(count)}


async def outcomes(model: AnthropicChatModel, batch: str) -> Outcomes:
    while not (await model.state(batch)).ended:
        await asyncio.sleep(0.02)
    return {request_id: outcome async for request_id, outcome in model.results(batch, {})}


async def test_a_batch_from_end_to_end(ask: Ask, model_at: Make) -> None:
    with Simulator(hold_batches=True, batch_seconds=0) as server:
        model = model_at(server.anthropic_url)
        batch = await model.submit("jurist-1", some(ask, 3))
        sent = server.counters.bodies[-1]["requests"]
        assert [request["custom_id"] for request in sent] == ["jurist-1-0", "jurist-1-1", "jurist-1-2"]
        assert sent[0]["params"] == {
            "model": "claude-haiku-4-5",
            "max_tokens": 20,
            "system": [{"type": "text", "text": "Be kind."}],
            "messages": [{"role": "user", "content": "question 0"}],
            "temperature": 0.5,
        }
        assert await model.state(batch) == BatchState(done=0, total=3, ended=False)
        server.release_batches()
        found = await outcomes(model, batch)
        assert await model.state(batch) == BatchState(done=3, total=3, ended=True)
    assert {
        request_id: reply.text for request_id, reply in found.items() if isinstance(reply, ChatReply)
    } == {
        "jurist-1-0": "question 0",
        "jurist-1-1": "question 1",
        "jurist-1-2": "question 2",
    }
    usage = found["jurist-1-0"].usage  # type: ignore[union-attr]
    assert (usage.prompt_tokens, usage.completion_tokens, usage.seconds) == (4, 2, 0.0)
    assert usage.usd == pytest.approx(0.5 * (4 * 1 + 2 * 5) / 1e6)


@pytest.mark.parametrize("name", ["batch_expired", "batch_errored"])
async def test_what_was_not_answered_can_be_asked_again(ask: Ask, model_at: Make, name: str) -> None:
    with Simulator(batch_seconds=0, faults=Faults(**{name: 1})) as server:
        model = model_at(server.anthropic_url)
        (error,) = (await outcomes(model, await model.submit("jurist-1", some(ask, 1)))).values()
    assert isinstance(error, ProviderError)
    assert (error.retryable, error.fatal) == (True, False)
    assert ("expired" if name == "batch_expired" else "HTTP status 500") in str(error)


@pytest.mark.parametrize(
    ("kind", "retryable", "rate_limited", "fatal"),
    [
        ("overloaded_error", True, True, False),
        ("rate_limit_error", True, True, False),
        ("api_error", True, False, False),
        ("timeout_error", True, False, False),
        ("invalid_request_error", False, False, False),
        ("request_too_large", False, False, False),
        ("no_such_error", False, False, False),
        ("not_found_error", False, False, True),
        ("billing_error", False, False, True),
    ],
)
async def test_errors_in_a_batch(
    provider: Any, model_at: Make, kind: str, retryable: bool, rate_limited: bool, fatal: bool
) -> None:
    error = {"type": "error", "error": {"type": kind, "message": "no, not with sk-secret"}}
    serve(provider, {"custom_id": "a", "result": {"type": "errored", "error": error}})
    found = (await outcomes(model_at(provider.url), "msgbatch_1"))["a"]
    assert isinstance(found, ProviderError)
    assert (found.retryable, found.rate_limited, found.fatal) == (retryable, rate_limited, fatal)
    assert "no, not with ***" in str(found)


async def test_canceled_requests_and_odd_lines_can_be_asked_again(provider: Any, model_at: Make) -> None:
    answer = {"type": "message", "model": "m", "content": "x"}
    serve(
        provider,
        {"custom_id": "a", "result": {"type": "canceled"}},
        {"custom_id": "b", "result": {"type": "succeeded", "message": answer}},
        {"custom_id": "c", "result": {"type": "succeeded"}},
    )
    found = await outcomes(model_at(provider.url), "msgbatch_1")
    assert [isinstance(found[name], ProviderError) and found[name].retryable for name in "abc"] == [True] * 3  # type: ignore[union-attr]


@pytest.mark.parametrize("cut", [False, True], ids=["a line is missing", "a line is cut"])
async def test_results_that_are_cut_off_are_not_taken_for_whole(
    provider: Any, model_at: Make, cut: bool
) -> None:
    lines = [{"custom_id": name, "result": {"type": "expired"}} for name in ("a", "b")]
    serve(provider, *lines, total=2 if cut else 3, cut=10 if cut else 0)
    with pytest.raises(ProviderError) as caught:
        await outcomes(model_at(provider.url), "msgbatch_1")
    assert caught.value.retryable


@pytest.mark.parametrize("name", ["reset", "not_json", "server_error", "overloaded"])
async def test_trouble_with_calls_about_batches_can_pass(ask: Ask, model_at: Make, name: str) -> None:
    with Simulator(batch_seconds=0, faults=Faults(**{name: 1})) as server:
        model = model_at(server.anthropic_url)
        await assert_can_pass(
            lambda: model.submit("jurist-1", some(ask, 2)),
            lambda: model.find("jurist-1", ["a"], time.time()),
            lambda: model.state("msgbatch_1"),
            lambda: anext(aiter(model.results("msgbatch_1", {}))),
        )


async def test_answers_that_break_off_can_pass(ask: Ask, model_at: Make) -> None:
    with Simulator(batch_seconds=0, faults=Faults(truncated=1)) as server:
        model = model_at(server.anthropic_url)
        for _ in range(2):  # the simulator breaks off in two ways, by turns
            await assert_can_pass(lambda: model.submit("jurist-1", some(ask, 2)))
            await assert_can_pass(lambda: model.find("jurist-1", ["a"], time.time()))
        assert server.counters.faults["truncated"] == 4


async def assert_can_pass(*calls: Callable[[], Awaitable[Any]]) -> None:
    for call in calls:
        with pytest.raises(ProviderError) as caught:
            await call()
        assert (caught.value.retryable, caught.value.fatal) == (True, False)


async def test_line_ends_of_unicode_are_text(ask: Ask, model_at: Make) -> None:
    odd = "one\u2028two\x85three\x0cfour"
    with Simulator(lambda asked: odd, batch_seconds=0) as server:
        model = model_at(server.anthropic_url)
        (reply,) = (await outcomes(model, await model.submit("jurist-1", some(ask, 1)))).values()
    assert isinstance(reply, ChatReply)
    assert reply.text == odd


async def test_a_batch_that_is_gone_is_given_up(ask: Ask, model_at: Make) -> None:
    with Simulator() as server:
        model = model_at(server.anthropic_url)
        for call in (model.state("msgbatch_0"), anext(aiter(model.results("msgbatch_0", {})))):
            with pytest.raises(ProviderError) as caught:
                await call
            assert (caught.value.retryable, caught.value.fatal) == (False, False)
            assert "no results of batch msgbatch_0" in str(caught.value)


async def test_a_batch_that_is_too_large_says_what_to_do(provider: Any, ask: Ask, model_at: Make) -> None:
    body = {"type": "error", "error": {"type": "request_too_large", "message": "too large"}}
    provider.says(lambda: web.json_response(body, status=413))
    with pytest.raises(ProviderError) as caught:
        await model_at(provider.url).submit("jurist-1", some(ask, 2))
    assert caught.value.fatal
    assert "batch: {size: …}" in str(caught.value)


def serve(provider: Any, *lines: Any, total: int | None = None, cut: int = 0) -> None:
    """Have the provider know one batch, with these results."""
    counts = dict.fromkeys(("processing", "errored", "canceled", "expired"), 0)
    batch = {
        "id": "msgbatch_1",
        "created_at": "2026-01-01T00:00:00Z",
        "processing_status": "ended",
        "request_counts": {**counts, "succeeded": len(lines) if total is None else total},
        "results_url": f"{provider.url}/v1/messages/batches/msgbatch_1/results",
    }
    text = "".join(json.dumps(line) + "\n" for line in lines)

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/results"):
            return web.Response(text=text[: len(text) - cut], content_type="application/x-jsonl")
        return web.json_response(batch)

    provider.handler = handler
