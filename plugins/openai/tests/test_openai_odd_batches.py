import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest
from aiohttp import web

from jurist.chat import ChatReply
from jurist.errors import ProviderError
from jurist_openai.model import OpenAIChatModel

Make = Callable[..., OpenAIChatModel]
Outcomes = dict[str, ChatReply | ProviderError]
KEY = "sk-planted-secret"


def answer(name: str, text: str = "fine", **body: Any) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 5, "completion_tokens": 3}
    said = {"model": "m", "choices": [choice], "usage": usage, **body}
    return {"custom_id": name, "response": {"status_code": 200, "body": said}, "error": None}


def expired(name: str) -> dict[str, Any]:
    return {"custom_id": name, "response": None, "error": {"code": "batch_expired", "message": "too late"}}


def serve(
    provider: Any,
    output: Sequence[Any],
    undone: Sequence[Any] = (),
    counts: tuple[int, int, int] | None = None,
    **changes: Any,
) -> None:
    """Have the provider know the batch ``b`` of these rows; ``counts``: total, completed, failed."""
    total, completed, failed = counts or (len(output), len(output), 0)
    batch = {
        **{"id": "b", "object": "batch", "endpoint": "/v1/chat/completions", "input_file_id": "in"},
        **{"completion_window": "24h", "created_at": 1, "status": "completed"},
        **{"output_file_id": "out", "error_file_id": "err" if undone else None},
        "request_counts": {"total": total, "completed": completed, "failed": failed},
        "metadata": {"jurist": "jurist-1"},
        **changes,
    }
    files = {"out": output, "err": undone}

    def reply(request: web.Request) -> web.Response:
        if not request.path.endswith("/content"):
            return web.json_response(batch)
        rows = files[request.path.split("/")[-2]]
        lines = [row if isinstance(row, bytes) else json.dumps(row).encode() + b"\n" for row in rows]
        return web.Response(body=b"".join(lines))

    provider.reply = reply


async def outcomes(model: OpenAIChatModel, choices: Mapping[str, Sequence[str]] | None = None) -> Outcomes:
    return {request_id: outcome async for request_id, outcome in model.results("b", choices or {})}


async def assert_is_read_again(model: OpenAIChatModel) -> None:
    with pytest.raises(ProviderError, match="lack 1 of its results") as caught:
        await outcomes(model)
    assert (caught.value.retryable, caught.value.fatal) == (True, False)


async def test_half_a_character_spoils_no_row(provider: Any, model_at: Make) -> None:
    serve(provider, [answer("jurist-1-0", "fine \ud83d"), answer("jurist-1-1")])
    found = await outcomes(model_at(provider.url))
    assert [reply.text for reply in found.values() if isinstance(reply, ChatReply)] == ["fine \ufffd", "fine"]


@pytest.mark.parametrize(
    ("row", "retryable"),
    [
        ({"response": None, "error": f"gateway gone: {KEY}"}, False),
        ({"response": None, "error": {"code": "x", "message": f"no, {KEY}"}}, False),
        ({"response": None, "error": ["odd", KEY]}, False),
        ({"response": None, "error": None}, True),
        ({"response": KEY}, True),
        ({"response": {"body": {}}}, True),
        ({"response": {"status_code": 200}}, True),
        ({"response": {"status_code": 200, "body": None}}, True),
        ({"response": {"status_code": 200, "body": {"error": KEY}}}, True),
        (b'{"custom_id": "jurist-1-0", "response": {"status_code": 200, "bo\n', True),
    ],
)
async def test_an_odd_row_spoils_only_itself(
    provider: Any, model_at: Make, row: Any, retryable: bool
) -> None:
    odd = row if isinstance(row, bytes) else {"custom_id": "jurist-1-0", **row}
    serve(provider, [odd, answer("jurist-1-1")])
    found = await outcomes(model_at(provider.url))
    assert isinstance(found["jurist-1-1"], ChatReply)
    error = found["jurist-1-0"]
    assert isinstance(error, ProviderError)
    assert (error.retryable, error.fatal) == (retryable, False)
    assert KEY not in str(error)


async def test_what_a_refused_row_cost_is_told(provider: Any, model_at: Make) -> None:
    row = answer("jurist-1-0")
    row["response"]["body"]["choices"][0]["finish_reason"] = "abort"
    serve(provider, [row])
    (error,) = (await outcomes(model_at(provider.url))).values()
    assert isinstance(error, ProviderError)
    assert error.usage is not None
    assert error.usage.usd == pytest.approx((5 * 2 + 3 * 10) / 2 / 1e6)


@pytest.mark.parametrize(
    "row",
    [
        "a text",
        {"response": None},
        {"custom_id": 7},
        answer("somebody-elses"),
        answer("jurist-1-1"),
        b"no JSON\n",
        b'{"custom_id": "jurist-1-0", "respo',  # cut off
    ],
)
async def test_a_row_of_no_known_request_leaves_one_missing(provider: Any, model_at: Make, row: Any) -> None:
    serve(provider, [answer("jurist-1-1"), row])
    await assert_is_read_again(model_at(provider.url))


async def test_the_first_row_of_a_request_counts(provider: Any, model_at: Make) -> None:
    serve(provider, [answer("jurist-1-0")], [expired("jurist-1-0")], counts=(1, 1, 0))
    assert isinstance((await outcomes(model_at(provider.url)))["jurist-1-0"], ChatReply)


@pytest.mark.parametrize("status", ["expired", "cancelled"])
async def test_a_batch_that_ended_early_is_read_whole_too(provider: Any, model_at: Make, status: str) -> None:
    rows = [answer("jurist-1-0"), answer("jurist-1-1")]
    late = [expired("jurist-1-2"), expired("jurist-1-3")]
    model = model_at(provider.url)
    serve(provider, rows, late, counts=(4, 2, 0), status=status)
    assert len(await outcomes(model)) == 4
    serve(provider, rows, counts=(4, 2, 0), status=status)
    assert len(await outcomes(model)) == 2
    serve(provider, rows[:1], late, counts=(4, 2, 0), status=status)
    await assert_is_read_again(model)
    serve(provider, rows, late[:1], counts=(4, 2, 2), status=status)
    await assert_is_read_again(model)


async def test_a_key_in_why_a_batch_failed_is_not_shown(provider: Any, model_at: Make) -> None:
    errors = {"object": "list", "data": [{"code": "x", "message": f"wrong key {KEY}"}]}
    serve(provider, [], status="failed", errors=errors)
    assert (await model_at(provider.url).state("b")).failure == "wrong key ***"
    serve(provider, [], status="failed")
    assert (await model_at(provider.url).state("b")).failure == "the batch failed"
