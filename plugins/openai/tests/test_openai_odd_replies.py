import json
from collections.abc import Callable
from typing import Any

import pytest

from jurist.chat import ChatRequest
from jurist.errors import ProviderError
from jurist.records import Message
from jurist_openai.model import OpenAIChatModel

Make = Callable[..., OpenAIChatModel]
KEY = "sk-planted-secret"
ASKED = ChatRequest(messages=(Message(role="user", content="12345678"),))  # about two tokens
COUNTED = {"prompt_tokens": 5, "completion_tokens": 3}


def body(text: Any = "fine", finish: Any = "stop", usage: Any = COUNTED, **more: Any) -> str:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    return json.dumps({"model": "m", "choices": [choice], "usage": usage, **more})


async def failure(model: OpenAIChatModel) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await model.complete(ASKED)
    assert KEY[:9] not in str(caught.value)
    return caught.value


@pytest.mark.parametrize("sent", [b'"fine \\ud83d"', b'"fine \xed\xa0\xbd"', b'"fine \xf0\x9f"'])
async def test_half_a_character_spoils_no_answer(provider: Any, model_at: Make, sent: bytes) -> None:
    provider.says(body("MARK").encode().replace(b'"MARK"', sent))
    reply = await model_at(provider.url).complete(ASKED)
    assert reply.text.rstrip("\ufffd") == "fine "
    assert reply.text.endswith("\ufffd")
    assert reply.usage.completion_tokens == 3


async def test_what_is_no_json_is_told(provider: Any, model_at: Make) -> None:
    for sent in ("<html>bad gateway</html>", "[" * 100_000):
        provider.says(sent)
        error = await failure(model_at(provider.url))
        assert error.retryable
        assert f"not JSON: {sent[:9]}" in str(error)


@pytest.mark.parametrize(
    ("usage", "prompt", "completion"),
    [
        ({"prompt_tokens": "7", "completion_tokens": 3}, 2, 3),
        ({"prompt_tokens": 5, "completion_tokens": 1.5}, 5, 1),
        ({"prompt_tokens": 5.0, "completion_tokens": True}, 5, 1),
        ({"prompt_tokens": -5, "completion_tokens": -3}, 2, 1),
        ({"prompt_tokens": 1e308, "completion_tokens": 10**25}, 2, 1),
        ([1], 2, 1),
        ("x", 2, 1),
        (None, 2, 1),
    ],
)
async def test_usage_that_cannot_be_read_is_estimated(
    provider: Any, model_at: Make, usage: Any, prompt: int, completion: int
) -> None:
    provider.says(body(usage=usage))
    reply = await model_at(provider.url).complete(ASKED)
    assert reply.text == "fine"
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (prompt, completion)
    assert reply.usage.usd == pytest.approx((prompt * 2 + completion * 10) / 1e6)


@pytest.mark.parametrize("cached", [-9e9, 10**12, "3", None])
async def test_cached_tokens_that_cannot_be_change_little(provider: Any, model_at: Make, cached: Any) -> None:
    provider.says(body(usage={**COUNTED, "prompt_tokens_details": {"cached_tokens": cached}}))
    usage = (await model_at(provider.url).complete(ASKED)).usage
    assert usage.usd == pytest.approx((5 * 2 + 3 * 10) / 1e6)


async def test_an_odd_name_of_the_model_spoils_no_answer(provider: Any, model_at: Make) -> None:
    provider.says(body(model=7, system_fingerprint=["x"]))
    reply = await model_at(provider.url).complete(ASKED)
    assert (reply.text, reply.served_model, reply.fingerprint) == ("fine", None, None)


@pytest.mark.parametrize(
    "sent",
    [
        body("half", "abort"),
        body(["no", "text"]),
        json.dumps({"choices": [], "usage": COUNTED}),
        json.dumps({"error": {"message": "out of memory"}, "usage": COUNTED}),
    ],
)
async def test_what_a_refused_reply_cost_is_told(provider: Any, model_at: Make, sent: str) -> None:
    provider.says(sent)
    error = await failure(model_at(provider.url))
    assert error.retryable
    assert error.usage is not None
    assert (error.usage.prompt_tokens, error.usage.completion_tokens) == (5, 3)
    assert error.usage.usd == pytest.approx((5 * 2 + 3 * 10) / 1e6)


async def test_what_has_no_usage_is_not_billed(provider: Any, model_at: Make) -> None:
    provider.says(body("half", "abort", usage=None))
    assert (await failure(model_at(provider.url))).usage is None


@pytest.mark.parametrize(
    ("status", "sent"),
    [
        (200, json.dumps({"error": {"message": f"upstream refused {KEY}"}})),
        (200, f"<html>Bearer {KEY}</html>"),
        (200, body(["-" * 30, KEY])),
        (200, body(finish=KEY)),
        (200, "x" * 485 + KEY),
        *[(status, json.dumps({"error": {"message": f"bad key {KEY}"}})) for status in (400, 401, 404, 500)],
        (400, json.dumps({"error": {"message": "x" * 490 + KEY}})),
    ],
)
async def test_a_key_that_the_server_repeats_is_not_shown(
    provider: Any, model_at: Make, status: int, sent: str
) -> None:
    provider.says(sent, status)
    await failure(model_at(provider.url))


@pytest.mark.parametrize("status", [400, 500])
async def test_half_a_character_in_an_error_is_no_trouble(provider: Any, model_at: Make, status: int) -> None:
    provider.says('{"error": {"message": "cannot handle \\ud83d"}}', status)
    error = await failure(model_at(provider.url))
    assert error.retryable is (status == 500)
    str(error).encode()
