import json
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from jurist.chat import ChatReply, ChatRequest
from jurist.errors import ProviderError
from jurist_anthropic.model import AnthropicChatModel

Ask = Callable[..., ChatRequest]
Make = Callable[..., AnthropicChatModel]
KEY = "sk-planted-secret"
COUNTED = {"input_tokens": 5, "output_tokens": 3}


def message(text: Any = "fine", reason: Any = "end_turn", usage: Any = COUNTED) -> dict[str, Any]:
    content = [{"type": "text", "text": text}]
    return {"type": "message", "model": "m", "content": content, "stop_reason": reason, "usage": usage}


def says(provider: Any, body: Any, status: int = 200) -> None:
    sent = body if isinstance(body, bytes) else json.dumps(body).encode()
    provider.says(lambda: web.Response(body=sent, status=status, content_type="application/json"))


def answered(name: str, *arguments: Any) -> dict[str, Any]:
    return {"custom_id": name, "result": {"type": "succeeded", "message": message(*arguments)}}


def serve(provider: Any, *rows: Any, total: int) -> None:
    """Have the provider know one batch, with these results."""
    lines = [row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows]
    batch = {
        **{"id": "b", "created_at": "2999-01-01T00:00:00Z", "processing_status": "ended"},
        **{"request_counts": {"succeeded": total}, "results_url": f"{provider.url}/v1/x/results"},
    }

    async def handler(request: web.Request) -> web.StreamResponse:
        if request.path.endswith("/results"):
            return web.Response(body=b"".join(lines))
        return web.json_response(batch if request.path.endswith("/b") else {"data": [batch]})

    provider.handler = handler


async def failure(model: AnthropicChatModel, request: ChatRequest) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await model.complete(request)
    assert KEY[:9] not in str(caught.value)
    return caught.value


async def outcomes(model: AnthropicChatModel) -> dict[str, ChatReply | ProviderError]:
    return {request_id: outcome async for request_id, outcome in model.results("b", {})}


async def test_half_a_character_spoils_no_answer(provider: Any, ask: Ask, model_at: Make) -> None:
    says(provider, message("fine \ud83d"))
    reply = await model_at(provider.url).complete(ask())
    assert (reply.text, reply.usage.completion_tokens) == ("fine \ufffd", 3)
    serve(provider, answered("a", "fine \ud83d"), answered("b"), total=2)
    found = await outcomes(model_at(provider.url))
    assert [reply.text for reply in found.values() if isinstance(reply, ChatReply)] == ["fine \ufffd", "fine"]


@pytest.mark.parametrize(
    ("usage", "prompt", "completion"),
    [
        ({"input_tokens": "7", "output_tokens": 3}, 4, 3),
        ({"input_tokens": 1.5, "output_tokens": 3.0}, 4, 3),
        ({"input_tokens": None, "output_tokens": True}, 4, 1),
        ({"input_tokens": -5, "output_tokens": -(10**6)}, 4, 1),
        ({"input_tokens": 10**25, "output_tokens": 1, "cache_read_input_tokens": 9}, 9, 1),
        ({"input_tokens": 2, "output_tokens": 1, "cache_creation_input_tokens": "9"}, 2, 1),
        ([1], 4, 1),
        ({}, 4, 1),
        (None, 4, 1),
    ],
)
async def test_usage_that_cannot_be_read_is_estimated(
    provider: Any, ask: Ask, model_at: Make, usage: Any, prompt: int, completion: int
) -> None:
    says(provider, message(usage=usage))
    reply = await model_at(provider.url).complete(ask("12345678"))  # with "Be kind.", about four tokens
    assert reply.text == "fine"
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (prompt, completion)


@pytest.mark.parametrize(
    "body",
    [
        *[message("half", reason) for reason in ("pause_turn", "tool_use", "something_new")],
        message(["no", "text"]),
        {"type": "error", "error": {"type": "api_error", "message": "no"}, "usage": COUNTED},
    ],
)
async def test_half_an_answer_is_none_and_what_it_cost_is_told(
    provider: Any, ask: Ask, model_at: Make, body: Any
) -> None:
    says(provider, body)
    error = await failure(model_at(provider.url), ask())
    assert (error.retryable, error.fatal) == (True, False)
    assert error.usage is not None
    assert (error.usage.prompt_tokens, error.usage.completion_tokens) == (5, 3)
    assert error.usage.usd == pytest.approx((5 * 1 + 3 * 5) / 1e6)


async def test_what_has_no_usage_is_not_billed(provider: Any, ask: Ask, model_at: Make) -> None:
    says(provider, message("half", "pause_turn", usage=None))
    assert (await failure(model_at(provider.url), ask())).usage is None


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"type": "message", "said": KEY}),
        (200, f"<html>Bearer {KEY}</html>".encode()),
        (200, b"x" * 460 + KEY.encode()),
        (200, message("x", KEY)),
        (400, {"error": {"type": "invalid_request_error", "message": "x" * 490 + KEY}}),
        (500, {"error": {"type": "api_error", "message": f"bad {KEY}"}}),
    ],
)
async def test_a_key_that_the_service_repeats_is_not_shown(
    provider: Any, ask: Ask, model_at: Make, status: int, body: Any
) -> None:
    says(provider, body, status)
    await failure(model_at(provider.url, api_key=KEY), ask())


async def test_nor_is_it_where_a_batch_is_refused(provider: Any, ask: Ask, model_at: Make) -> None:
    model = model_at(provider.url, api_key=KEY)
    said = {"type": "error", "error": {"type": "x", "message": f"no {KEY}"}}
    for status, call in (
        (413, lambda: model.submit("jurist-1", {"a": ask()})),
        (404, lambda: model.state("b")),
    ):
        says(provider, said, status)
        with pytest.raises(ProviderError) as caught:
            await call()
        assert "no ***" in str(caught.value)


@pytest.mark.parametrize("status", [400, 500])
async def test_half_a_character_in_an_error_is_no_trouble(
    provider: Any, ask: Ask, model_at: Make, status: int
) -> None:
    said = {"type": "api_error", "message": "cannot handle \ud83d"}
    says(provider, {"type": "error", "error": said}, status)
    error = await failure(model_at(provider.url), ask())
    assert error.retryable is (status == 500)
    str(error).encode()


@pytest.mark.parametrize(
    "row",
    [
        {"custom_id": "a"},
        {"custom_id": "a", "result": KEY},
        {"custom_id": "a", "result": {"type": "errored", "error": KEY}},
        {"custom_id": "a", "result": {"type": "succeeded", "message": KEY}},
        answered("a", "half", "pause_turn"),
        b'{"custom_id": "a", "result": {"type": "succee\n',
    ],
)
async def test_an_odd_row_spoils_only_itself(provider: Any, model_at: Make, row: Any) -> None:
    serve(provider, row, answered("b"), total=2)
    found = await outcomes(model_at(provider.url, api_key=KEY))
    assert isinstance(found["b"], ChatReply)
    assert isinstance(found["a"], ProviderError)
    assert KEY not in str(found["a"])
    assert (found["a"].usage is not None) is (row == answered("a", "half", "pause_turn"))


@pytest.mark.parametrize(
    "row",
    ["a text", {"result": {}}, {"custom_id": 7}, answered("b"), b"no JSON\n", b'{"custom_id": "a", "re'],
)
async def test_a_row_of_no_known_request_leaves_one_missing(provider: Any, model_at: Make, row: Any) -> None:
    serve(provider, answered("b"), row, total=2)
    model = model_at(provider.url)
    for look in (lambda: outcomes(model), lambda: model.find("jurist-1", ["a", "b"], 0)):
        with pytest.raises(ProviderError, match="have 1 of 2 requests") as caught:
            await look()
        assert (caught.value.retryable, caught.value.fatal) == (True, False)
