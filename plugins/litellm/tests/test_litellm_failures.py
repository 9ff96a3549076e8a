from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from jurist.chat import ChatRequest
from jurist.errors import ProviderError
from jurist.testing.simulator import Faults, Latency, Simulator
from jurist_litellm.model import LiteLLMChatModel

# LiteLLM's own types warn, or not, depending on when it was first imported.
pytestmark = pytest.mark.filterwarnings("ignore:Items? .* using the .ReadOnly. qualifier:UserWarning")

Ask = Callable[..., ChatRequest]
Make = Callable[..., LiteLLMChatModel]
ROUTES = ("openai/gpt-4o-mini", "hosted_vllm/mine")


async def failure(model: LiteLLMChatModel, request: ChatRequest) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await model.complete(request)
    assert "sk-secret" not in f"{caught.value} {caught.value!r}"
    assert "jurist-litellm" in str(caught.value)
    return caught.value


@pytest.mark.parametrize(
    ("status", "message", "code"),
    [
        (400, "The response was filtered by our content management policy.", "content_filter"),
        (400, "Invalid prompt: violating our usage policy", "content_policy_violation"),
        (403, "Your input was flagged for harassment", None),
    ],
)
async def test_a_content_filter_is_a_refusal(
    provider: Any, ask: Ask, model_at: Make, status: int, message: str, code: str | None
) -> None:
    provider.fails(status, message, code=code)
    reply = await model_at(provider.url).complete(ask("x", "A", "B"))
    assert (reply.finish_reason, reply.text, reply.choice_logprobs) == ("refusal", "", None)


@pytest.mark.parametrize("route", ROUTES)
async def test_429_says_how_long_to_wait(ask: Ask, model_at: Make, route: str) -> None:
    with Simulator(faults=Faults(rate_limited=1.0, retry_after=7)) as server:
        error = await failure(model_at(server.url, route), ask())
    assert (error.retryable, error.rate_limited, error.retry_after, error.fatal) == (True, True, 7.0, False)
    assert server.counters.requests == 1


async def test_a_proxy_passes_on_how_long_to_wait(provider: Any, ask: Ask, model_at: Make) -> None:
    headers = {"llm_provider-retry-after": "7"}
    provider.reply = lambda: web.json_response({"error": {"message": "x"}}, status=429, headers=headers)
    error = await failure(model_at(provider.url, "litellm_proxy/mine"), ask())
    assert (error.retryable, error.retry_after) == (True, 7.0)


async def test_429_for_want_of_money_is_fatal(ask: Ask, model_at: Make) -> None:
    with Simulator(faults=Faults(rate_limited=1.0, insufficient_quota=True)) as server:
        error = await failure(model_at(server.url), ask())
    assert (error.retryable, error.rate_limited, error.fatal) == (False, False, True)
    assert "credit" in str(error.hint)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("fault", ["server_error", "overloaded", "truncated", "not_json"])
async def test_trouble_at_the_provider_can_pass(ask: Ask, model_at: Make, route: str, fault: str) -> None:
    with Simulator(faults=Faults(**{fault: 1.0})) as server:
        for _ in range(2):
            error = await failure(model_at(server.url, route), ask())
            assert (error.retryable, error.fatal) == (True, False)
            assert error.rate_limited is (fault == "overloaded")
    assert server.counters.requests == 2  # one call each: the engine alone tries again


@pytest.mark.parametrize("route", ROUTES)
async def test_a_connection_that_breaks_can_pass(ask: Ask, model_at: Make, route: str) -> None:
    with Simulator(faults=Faults(reset=1.0)) as server:
        error = await failure(model_at(server.url, route), ask())
    assert (error.retryable, error.fatal) == (True, False)
    assert server.counters.requests <= 2  # LiteLLM's own client connects once more


@pytest.mark.parametrize("status", [408, 409, 502, 503])
async def test_a_status_that_can_pass(provider: Any, ask: Ask, model_at: Make, status: int) -> None:
    provider.fails(status, "later")
    error = await failure(model_at(provider.url), ask())
    assert (error.retryable, error.rate_limited, error.fatal) == (True, False, False)
    assert len(provider.bodies) == 1


async def test_nobody_listening_can_pass(ask: Ask, model_at: Make) -> None:
    error = await failure(model_at("http://127.0.0.1:9/v1"), ask())
    assert (error.retryable, error.fatal) == (True, False)


async def test_a_time_out_can_pass(ask: Ask, model_at: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    with Simulator(latency=Latency.constant(1.0)) as server:
        await model_at(server.url).complete(ask())  # LiteLLM is imported
        monkeypatch.setattr("jurist_litellm.client.LONGEST_CALL", 0.2)
        error = await failure(model_at(server.url), ask())
    assert (error.retryable, error.fatal) == (True, False)


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("body", [{"choices": [], "model": "x"}, {"unexpected": True}, ["a", "list"]])
async def test_a_reply_of_another_protocol_is_never_an_answer(
    provider: Any, ask: Ask, model_at: Make, route: str, body: Any
) -> None:
    provider.reply = lambda: web.json_response(body)
    error = await failure(model_at(provider.url, route), ask())
    assert (error.retryable, error.fatal) == (True, False)


@pytest.mark.parametrize(
    ("status", "hint"), [(401, "OPENAI_API_KEY"), (402, "credit"), (403, "OPENAI_API_KEY"), (404, "api_base")]
)
async def test_what_no_call_can_mend_is_fatal(
    provider: Any, ask: Ask, model_at: Make, status: int, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    provider.fails(status, "no, not with sk-secret")
    error = await failure(model_at(provider.url), ask())
    assert (error.retryable, error.fatal) == (False, True)
    assert hint in str(error.hint)


async def test_a_missing_key_names_its_variable(
    ask: Ask, model_at: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with Simulator() as server:
        error = await failure(model_at(server.url, api_key=None), ask())
    assert error.fatal
    assert "OPENAI_API_KEY" in str(error.hint)
    assert server.counters.requests == 0


@pytest.mark.parametrize(
    ("said", "hint"),
    [("No connected db.", "LITELLM_PROXY_API_KEY"), ("Invalid model name passed in model=mine", "option")],
)
async def test_what_a_proxy_says_with_400_is_fatal_too(
    provider: Any, ask: Ask, model_at: Make, said: str, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("LITELLM_PROXY_API_KEY", raising=False)
    provider.fails(400, said)
    error = await failure(model_at(provider.url, "litellm_proxy/mine"), ask())
    assert (error.retryable, error.fatal) == (False, True)
    assert hint in str(error.hint)


async def test_an_unknown_provider_is_fatal(ask: Ask, model_at: Make) -> None:
    error = await failure(model_at(None, "no-such-thing"), ask())
    assert error.fatal
    assert "knows no provider of the model 'no-such-thing'" in str(error)


@pytest.mark.parametrize(
    "message", ["'x' is not a valid value", "This model's maximum context length is 8 tokens."]
)
async def test_a_bad_request_fails_its_item_only(
    provider: Any, ask: Ask, model_at: Make, message: str
) -> None:
    provider.fails(400, message)
    error = await failure(model_at(provider.url), ask())
    assert (error.retryable, error.fatal) == (False, False)
    assert message in str(error)
    assert ("shorten" in str(error)) == ("context" in message)
