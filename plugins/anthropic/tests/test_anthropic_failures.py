import socket
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web

from jurist.chat import ChatRequest
from jurist.errors import ProviderError
from jurist.records import Message
from jurist.testing.simulator import Faults, Simulator
from jurist_anthropic.model import AnthropicChatModel

Ask = Callable[..., ChatRequest]
Make = Callable[..., AnthropicChatModel]

HEADERS = {"content-type": "application/json"}


async def failure(model: AnthropicChatModel, request: ChatRequest) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await model.complete(request)
    return caught.value


def fault(status: int, kind: str, message: str, **details: Any) -> web.Response:
    error = {"type": kind, "message": message, **({"details": details} if details else {})}
    return web.json_response({"type": "error", "error": error}, status=status)


def message(**changes: Any) -> dict[str, Any]:
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "content": [
            {"type": "thinking", "thinking": "…", "signature": "s"},
            {"type": "text", "text": "fine"},
        ],
        "stop_reason": "end_turn",
        "usage": {"input_tokens": 3, "output_tokens": 4},
        **changes,
    }


@pytest.mark.parametrize(
    ("stop_reason", "finish"),
    [
        ("end_turn", "stop"),
        ("stop_sequence", "stop"),
        (None, "stop"),
        ("max_tokens", "length"),
        ("model_context_window_exceeded", "length"),
        ("refusal", "refusal"),
    ],
)
async def test_why_an_answer_ended(
    provider: Any, ask: Ask, model_at: Make, stop_reason: str | None, finish: str
) -> None:
    provider.says(lambda: web.json_response(message(stop_reason=stop_reason)))
    reply = await model_at(provider.url).complete(ask())
    assert (reply.text, reply.finish_reason) == ("fine", finish)
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (3, 4)
    assert provider.paths == ["/v1/messages"]


async def test_429_says_how_long_to_wait(ask: Ask, model_at: Make) -> None:
    with Simulator(faults=Faults(rate_limited=1, retry_after=7)) as server:
        error = await failure(model_at(server.anthropic_url), ask())
        assert server.counters.requests == 1
    assert (error.retryable, error.rate_limited, error.retry_after, error.fatal) == (True, True, 7.0, False)


async def test_overload_asks_for_fewer_calls(ask: Ask, model_at: Make) -> None:
    with Simulator(faults=Faults(overloaded=1)) as server:
        error = await failure(model_at(server.anthropic_url), ask())
        assert server.counters.requests == 1
    assert (error.retryable, error.rate_limited, error.fatal) == (True, True, False)
    assert "HTTP status 529" in str(error)


@pytest.mark.parametrize("name", ["server_error", "reset", "truncated", "not_json"])
async def test_trouble_on_the_way_can_pass(ask: Ask, model_at: Make, name: str) -> None:
    with Simulator(faults=Faults(**{name: 1})) as server:
        model = model_at(server.anthropic_url)
        for _ in range(2):  # the simulator breaks off in two ways, by turns
            error = await failure(model, ask())
            assert (error.retryable, error.rate_limited, error.fatal) == (True, False, False)
        assert server.counters.requests == 2


async def test_nobody_listening_can_pass(ask: Ask, model_at: Make) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        error = await failure(model_at(f"http://127.0.0.1:{free.getsockname()[1]}"), ask())
    assert (error.retryable, error.fatal) == (True, False)
    assert "connection" in str(error.cause).lower()


@pytest.mark.parametrize(
    "response",
    [
        lambda: web.Response(text="<html>bad gateway</html>", content_type="text/html"),
        lambda: web.Response(text='{"type": "message", "conte', headers=HEADERS),
        lambda: web.Response(text="", headers=HEADERS),
        lambda: web.json_response({"unexpected": True}),
        lambda: web.json_response(message(content="no blocks")),
        lambda: web.json_response({"choices": [{"message": {"content": "another protocol"}}]}),
    ],
    ids=["html", "cut off", "empty", "no message", "no blocks", "another protocol"],
)
async def test_garbage_can_pass_and_is_never_an_answer(
    provider: Any, ask: Ask, model_at: Make, response: Any
) -> None:
    provider.says(response)
    error = await failure(model_at(provider.url), ask())
    assert (error.retryable, error.fatal) == (True, False)
    assert "it sent what is no answer" in str(error.cause)


@pytest.mark.parametrize(
    ("status", "kind", "hint"),
    [
        (401, "authentication_error", "ANTHROPIC_API_KEY"),
        (403, "permission_error", "ANTHROPIC_API_KEY"),
        (404, "not_found_error", "base_url"),
    ],
)
async def test_what_no_call_can_mend_is_fatal(
    provider: Any, ask: Ask, model_at: Make, status: int, kind: str, hint: str
) -> None:
    provider.says(lambda: fault(status, kind, "no, not with sk-secret"))
    error = await failure(model_at(provider.url), ask())
    assert (error.retryable, error.fatal) == (False, True)
    assert hint in str(error.hint)
    assert "sk-secret" not in str(error)
    assert "no, not with ***" in str(error)
    assert "jurist-anthropic" in str(error)
    assert len(provider.bodies) == 1


@pytest.mark.parametrize(
    "response",
    [
        lambda: fault(402, "billing_error", "pay"),
        lambda: fault(403, "billing_error", "pay"),
        lambda: fault(400, "invalid_request_error", "Your credit balance is too low to access the API."),
        lambda: fault(429, "rate_limit_error", "Stop.", error_code="enforced_spend_limit_reached"),
    ],
)
async def test_no_credit_is_fatal(provider: Any, ask: Ask, model_at: Make, response: Any) -> None:
    provider.says(response)
    error = await failure(model_at(provider.url), ask())
    assert (error.retryable, error.rate_limited, error.fatal) == (False, False, True)
    assert "credit" in str(error.hint)


@pytest.mark.parametrize(
    ("status", "said", "hint"),
    [
        (400, "messages: text content blocks must be non-empty", None),
        (413, "Request exceeds the maximum size", None),
        (400, "prompt is too long: 210000 tokens > 200000 maximum", "shorten the prompt"),
        (
            400,
            "This model does not support assistant message prefill. The conversation must end with a user "
            "message.",
            "end the messages with the user's turn",
        ),
        (400, "`temperature` and `top_p` cannot both be specified for this model.", "sampling: false"),
        (400, "`temperature` is deprecated for this model.", "sampling: false"),
    ],
)
async def test_a_bad_request_fails_its_item_only(
    provider: Any, ask: Ask, model_at: Make, status: int, said: str, hint: str | None
) -> None:
    provider.says(lambda: fault(status, "invalid_request_error", said))
    turns = (*ask().messages, Message(role="assistant", content="The answer is"))
    error = await failure(model_at(provider.url), ask().model_copy(update={"messages": turns}))
    assert (error.retryable, error.fatal) == (False, False)
    assert said in str(error)
    assert (error.hint is None) if hint is None else (hint in str(error.hint))


async def test_a_missing_key_names_its_variable(
    provider: Any, ask: Ask, model_at: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", str(tmp_path))
    error = await failure(model_at(provider.url, api_key=None), ask())
    assert error.fatal
    assert "ANTHROPIC_API_KEY" in str(error.hint)
    assert provider.bodies == []
    model = model_at(provider.url, api_key=None)
    with pytest.raises(ProviderError, match="needs a key"):
        model.check_access()
    monkeypatch.setenv("ANTHROPIC_API_KEY", "k")
    model.check_access()
    await model.close()


async def test_a_profile_that_is_not_there_is_fatal(
    provider: Any, ask: Ask, model_at: Make, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    for name in ("ANTHROPIC_API_KEY", "ANTHROPIC_AUTH_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("ANTHROPIC_CONFIG_DIR", str(tmp_path))
    monkeypatch.setenv("ANTHROPIC_PROFILE", "nobody")
    error = await failure(model_at(provider.url, api_key=None), ask())
    assert error.fatal
    assert "nobody" in str(error)
    assert provider.bodies == []


async def test_the_client_has_no_time_out_of_its_own(ask: Ask, model_at: Make) -> None:
    with Simulator() as server:
        model = model_at(server.anthropic_url)
        await model.complete(ask())
        assert model._client is not None
        assert model._client._anthropic.timeout is None
        assert model._client._anthropic.max_retries == 0
        # The client guesses how long so many tokens take and refuses to wait, unless it is told not to.
        assert (await model.complete(ask(max_tokens=128_000))).text == "Hello there"
