import json
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from jurist.chat import ChatRequest
from jurist.errors import ProviderError
from jurist_litellm.library import litellm
from jurist_litellm.model import LiteLLMChatModel

pytestmark = [
    # LiteLLM's own types warn, or not, depending on when it was first imported.
    pytest.mark.filterwarnings("ignore:Items? .* using the .ReadOnly. qualifier:UserWarning"),
    pytest.mark.filterwarnings("ignore:Pydantic serializer warnings:UserWarning"),
]

Ask = Callable[..., ChatRequest]
Make = Callable[..., LiteLLMChatModel]
ROUTES = ("openai/gpt-4o-mini", "hosted_vllm/mine")
KEY = "sk-planted-secret"
COUNTED = {"prompt_tokens": 5, "completion_tokens": 3, "total_tokens": 8}


def says(provider: Any, body: Any, status: int = 200) -> None:
    sent = body if isinstance(body, str) else json.dumps(body)
    provider.reply = lambda: web.Response(text=sent, status=status, content_type="application/json")


def answered(text: Any = "fine", finish: Any = "stop", usage: Any = COUNTED) -> dict[str, Any]:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "m", "choices": [choice]}
    return {**body, "usage": usage}


async def failure(model: LiteLLMChatModel, request: ChatRequest) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await model.complete(request)
    assert KEY not in f"{caught.value} {caught.value!r}"
    return caught.value


@pytest.mark.parametrize(
    ("reason", "finish"),
    [
        *[(reason, "stop") for reason in ("stop", "eos_token", "end_turn", "COMPLETE", None)],
        *[(reason, "length") for reason in ("length", "max_tokens", "MAX_TOKENS", "model_length")],
        *[(reason, "refusal") for reason in ("content_filter", "SAFETY", "refusal")],
    ],
)
@pytest.mark.parametrize("route", ROUTES)
async def test_how_providers_say_that_an_answer_is_whole(
    provider: Any, ask: Ask, model_at: Make, route: str, reason: str | None, finish: str
) -> None:
    says(provider, answered(finish=reason))
    assert (await model_at(provider.url, route).complete(ask())).finish_reason == finish


@pytest.mark.parametrize(
    "reason", ["abort", "error", "insufficient_system_resource", "tool_calls", "MALFORMED_RESPONSE"]
)
@pytest.mark.parametrize("route", ROUTES)
async def test_half_an_answer_is_none_and_what_it_cost_is_told(
    provider: Any, ask: Ask, model_at: Make, route: str, reason: str
) -> None:
    says(provider, answered("Verdict: A", reason))
    error = await failure(model_at(provider.url, route, price={"input": 2, "output": 10}), ask())
    assert (error.retryable, error.fatal) == (True, False)
    assert reason in str(error)
    assert error.usage is not None
    assert (error.usage.prompt_tokens, error.usage.completion_tokens) == (5, 3)
    assert error.usage.usd == pytest.approx((5 * 2 + 3 * 10) / 1e6)


async def test_what_has_no_usage_is_not_billed(provider: Any, ask: Ask, model_at: Make) -> None:
    says(provider, answered("half", "abort", usage=None))
    assert (await failure(model_at(provider.url), ask())).usage is None


@pytest.mark.parametrize("cost", [float("nan"), float("inf"), -5, 1e300, "x"])
async def test_a_cost_that_cannot_be_does_not_count(
    provider: Any, ask: Ask, model_at: Make, cost: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    entry = {"litellm_provider": "openrouter", "mode": "chat", "max_tokens": 9}
    prices = {"input_cost_per_token": 2e-6, "output_cost_per_token": 10e-6}
    monkeypatch.setitem(litellm.model_cost, "openrouter/some/listed", {**entry, **prices})
    says(provider, answered(usage={**COUNTED, "cost": cost}))
    unknown = await model_at(provider.url, "openrouter/some/model").complete(ask())
    assert unknown.usage.usd == 0.0
    listed = await model_at(provider.url, "openrouter/some/listed").complete(ask())
    assert listed.usage.usd == pytest.approx((5 * 2 + 3 * 10) / 1e6)


@pytest.mark.parametrize(
    "counts", [{"prompt_tokens": -5, "completion_tokens": -3}, {"prompt_tokens": 10**25}]
)
async def test_usage_that_cannot_be_is_estimated(
    provider: Any, ask: Ask, model_at: Make, counts: Any
) -> None:
    says(provider, answered(usage={**COUNTED, **counts}))
    usage = (await model_at(provider.url).complete(ask())).usage
    assert 0 < usage.prompt_tokens < 50
    assert 0 < usage.completion_tokens <= 3
    expected = usage.prompt_tokens * 0.15 + usage.completion_tokens * 0.6
    assert usage.usd == pytest.approx(expected / 1e6)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (200, {"error": {"message": f"upstream refused {KEY}"}}),
        (200, f"<html>Bearer {KEY}</html>"),
        (200, answered(finish=KEY)),
        *[(status, {"error": {"message": f"bad key {KEY}"}}) for status in (400, 401, 404, 500)],
    ],
)
@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("variable", [None, "OPENAI_API_KEY", "SOME_TOKEN"])
async def test_a_key_that_the_provider_repeats_is_not_shown(
    *, provider: Any, ask: Ask, model_at: Make, status: int, body: Any, route: str, variable: str | None
) -> None:
    says(provider, body, status)
    with pytest.MonkeyPatch.context() as patch:
        if variable is not None:
            patch.setenv(variable, KEY)
        key = KEY if variable is None else None if variable == "OPENAI_API_KEY" else "sk-another"
        patch.setenv("HOSTED_VLLM_API_KEY", "sk-another")
        await failure(model_at(provider.url, route, api_key=key), ask())


@pytest.mark.parametrize("status", [400, 500])
@pytest.mark.parametrize("route", ROUTES)
async def test_half_a_character_in_an_error_is_no_trouble(
    provider: Any, ask: Ask, model_at: Make, route: str, status: int
) -> None:
    says(provider, '{"error": {"message": "cannot handle \\ud83d"}}', status)
    error = await failure(model_at(provider.url, route), ask())
    assert error.retryable is (status == 500)
    str(error).encode()


@pytest.mark.parametrize("route", ROUTES)
async def test_a_parameter_with_the_name_of_a_filter_is_no_refusal(
    provider: Any, ask: Ask, model_at: Make, route: str
) -> None:
    provider.fails(400, "Unrecognized request argument supplied: content_filter_level")
    error = await failure(model_at(provider.url, route), ask())
    assert (error.retryable, error.fatal) == (False, False)
