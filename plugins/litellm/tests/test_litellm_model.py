import asyncio
import logging
import subprocess
import sys
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from jurist.chat import ChatReply, ChatRequest, Sampling
from jurist.errors import ProviderError
from jurist.limits import Limits
from jurist.records import Message
from jurist_litellm import plugin
from jurist_litellm.model import LiteLLMChatModel, LiteLLMOptions

# LiteLLM's own types warn, or not, depending on when it was first imported.
pytestmark = pytest.mark.filterwarnings("ignore:Item .* is using the .ReadOnly. qualifier:UserWarning")


def ask(text: str = "Hello", *choices: str, **sampling: Any) -> ChatRequest:
    return ChatRequest(
        messages=(Message(role="system", content="Be kind."), Message(role="user", content=text)),
        sampling=Sampling(**{"temperature": 0.5, "max_tokens": 20, **sampling}),
        choices=choices,
    )


def model_at(provider: Any, model: str = "openai/gpt-4o-mini", **options: Any) -> LiteLLMChatModel:
    return LiteLLMChatModel(
        LiteLLMOptions(**{"model": model, "api_base": provider.url, "api_key": "sk-secret", **options})
    )


async def failure(provider: Any, request: ChatRequest | None = None, **options: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await model_at(provider, **options).complete(request or ask())
    return caught.value


def body(text: str | None, **changes: Any) -> dict[str, Any]:
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "stop",
        **changes,
    }
    return {
        "id": "reply",
        "object": "chat.completion",
        "created": 1,
        "model": "gpt-4o-mini-2024-07-18",
        "system_fingerprint": "fp_1",
        "choices": [choice],
        "usage": {"prompt_tokens": 1000, "completion_tokens": 100, "total_tokens": 1100},
    }


def listed(*positions: dict[str, float]) -> dict[str, Any]:
    """Log-probabilities as OpenAI lists them; the first token of each position is the one written."""
    return {
        "logprobs": {
            "content": [
                {
                    "token": next(iter(tokens)),
                    "logprob": next(iter(tokens.values())),
                    "bytes": None,
                    "top_logprobs": [{"token": t, "logprob": p, "bytes": None} for t, p in tokens.items()],
                }
                for tokens in positions
            ]
        }
    }


def fault(status: int, message: str, headers: dict[str, str] | None = None, **fields: Any) -> web.Response:
    error = {"message": message, "type": "error", "param": None, "code": None, **fields}
    return web.json_response({"error": error}, status=status, headers=headers)


def test_the_plugin_offers_the_model() -> None:
    (component,) = plugin.jurist_chat_models()
    assert component.collected("chat_model", "jurist-litellm").load() is LiteLLMChatModel


def test_importing_the_class_does_not_load_litellm() -> None:
    code = (
        "import sys, jurist_litellm.plugin, jurist_litellm.model as m\n"
        "m.LiteLLMChatModel(m.LiteLLMOptions(model='openai/x')).identity()\n"
        "print(sorted({'litellm', 'openai', 'aiohttp', 'httpx', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_extra_cannot_bend_the_request() -> None:
    with pytest.raises(ValidationError, match="num_retries, temperature cannot be given in extra"):
        LiteLLMOptions(
            model="openai/x", extra={"temperature": 0, "num_retries": 3, "reasoning_effort": "low"}
        )


async def test_a_reply_with_its_usage_and_cost(provider: Any) -> None:
    provider.handler = lambda _: web.json_response(body("你好, friend"))
    reply = await model_at(provider, extra={"user": "me"}).complete(
        ask("说", seed=7, stop=("END",), top_p=0.9)
    )
    assert reply.text == "你好, friend"
    assert reply.finish_reason == "stop"
    assert reply.served_model == "gpt-4o-mini-2024-07-18"
    assert reply.fingerprint == "fp_1"
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (1000, 100)
    assert reply.usage.usd == pytest.approx(1000 * 0.15e-6 + 100 * 0.6e-6)
    assert reply.usage.seconds > 0
    (sent,) = provider.bodies
    assert sent["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "说"},
    ]
    expected = {"temperature": 0.5, "top_p": 0.9, "max_tokens": 20, "stop": ["END"], "seed": 7, "user": "me"}
    assert {name: sent[name] for name in expected} == expected
    assert "logprobs" not in sent
    assert provider.headers[0]["Authorization"] == "Bearer sk-secret"


async def test_length_and_refusals_are_told_apart(provider: Any) -> None:
    refusing = {"message": {"role": "assistant", "content": None, "refusal": "I will not."}}
    replies = [
        body("cut", finish_reason="length"),
        body("half of", finish_reason="content_filter"),
        body(None, **refusing),
        body(None),
    ]
    provider.handler = lambda _: web.json_response(replies[len(provider.bodies) - 1])
    model = model_at(provider)
    got = [await model.complete(ask()) for _ in replies]
    assert [(reply.text, reply.finish_reason) for reply in got] == [
        ("cut", "length"),
        ("half of", "refusal"),
        ("", "refusal"),
        ("", "stop"),
    ]


@pytest.mark.parametrize(
    ("status", "message", "code"),
    [
        (400, "The response was filtered by our content management policy.", "content_filter"),
        (400, "Invalid prompt: violating our usage policy", "content_policy_violation"),
        (403, "Your input was flagged for harassment", None),
    ],
)
async def test_a_content_filter_is_a_refusal(
    provider: Any, status: int, message: str, code: str | None
) -> None:
    provider.handler = lambda _: fault(status, message, code=code)
    reply = await model_at(provider).complete(ask("x", "A", "B"))
    assert (reply.finish_reason, reply.text, reply.choice_logprobs) == ("refusal", "", None)


async def test_choices_get_their_log_probabilities(provider: Any) -> None:
    provider.handler = lambda _: web.json_response(body("B", **listed({"B": -0.2, "A": -1.8, "C": -6.0})))
    reply = await model_at(provider, top_logprobs=5).complete(ask("x", "A", "B"))
    assert reply.choice_logprobs == pytest.approx((-1.8, -0.2))
    assert reply.text == "B"
    assert (provider.bodies[0]["logprobs"], provider.bodies[0]["top_logprobs"]) == (True, 5)


async def test_a_choice_that_is_not_listed_leaves_the_text(provider: Any) -> None:
    provider.handler = lambda _: web.json_response(body("B", **listed({"B": -0.01, "C": -6.0})))
    reply = await model_at(provider).complete(ask("x", "A", "B"))
    assert reply.choice_logprobs is None
    assert reply.text == "B"


async def test_a_model_without_log_probabilities_is_asked_for_text(provider: Any) -> None:
    provider.handler = lambda _: web.json_response(body("A"))
    reply = await model_at(provider, model="openai/gpt-5-mini").complete(ask("x", "A", "B"))
    assert reply.choice_logprobs is None
    assert reply.text == "A"
    assert "logprobs" not in provider.bodies[0]


async def test_an_assistant_turn_is_continued_where_the_provider_can(provider: Any) -> None:
    turns = (*ask().messages, Message(role="assistant", content="The answer is"))
    request = ask().model_copy(update={"messages": turns})
    await model_at(provider, model="hosted_vllm/mine").complete(request)
    assert provider.bodies[0]["continue_final_message"] is True
    assert provider.bodies[0]["add_generation_prompt"] is False
    error = await failure(provider, request)
    assert "cannot continue an assistant message" in str(error)
    assert len(provider.bodies) == 1


async def test_429_says_how_long_to_wait(provider: Any) -> None:
    provider.handler = lambda _: fault(429, "slow down", headers={"Retry-After": "7"})
    error = await failure(provider)
    assert (error.retryable, error.rate_limited, error.retry_after, error.fatal) == (True, True, 7.0, False)
    assert len(provider.bodies) == 1


async def test_429_for_want_of_money_is_fatal(provider: Any) -> None:
    provider.handler = lambda _: fault(429, "You exceeded your current quota", code="insufficient_quota")
    error = await failure(provider)
    assert (error.retryable, error.rate_limited, error.fatal) == (False, False, True)
    assert "credit" in str(error.hint)


@pytest.mark.parametrize("status", [408, 500, 502, 503, 529])
async def test_trouble_at_the_provider_can_pass(provider: Any, status: int) -> None:
    provider.handler = lambda _: fault(status, "overloaded")
    error = await failure(provider)
    assert (error.retryable, error.rate_limited, error.fatal) == (True, False, False)
    assert len(provider.bodies) == 1


async def test_a_hang_up_can_pass(provider: Any) -> None:
    provider.handler = lambda _: web.Response(status=444)
    error = await failure(provider)
    assert (error.retryable, error.fatal) == (True, False)
    assert len(provider.bodies) == 1


async def test_nobody_listening_can_pass() -> None:
    model = LiteLLMChatModel(LiteLLMOptions(model="openai/x", api_base="http://127.0.0.1:9/v1", api_key="k"))
    with pytest.raises(ProviderError) as caught:
        await model.complete(ask())
    assert caught.value.retryable


def test_a_call_may_take_five_minutes_and_the_engine_alone_ends_it() -> None:
    import litellm

    from jurist_litellm import _client

    assert LiteLLMChatModel.limits == Limits(concurrency=32, timeout=300)
    with pytest.raises(ValidationError, match="timeout"):
        LiteLLMOptions(model="openai/x", timeout=10)  # type: ignore[call-arg]
    sent = _client.Client(LiteLLMOptions(model="openai/x", api_key="k"))._parameters(ask())
    assert sent["timeout"] >= max(3600, LiteLLMChatModel.limits.timeout or 0, litellm.request_timeout)


async def test_a_time_out_can_pass(provider: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    provider.delay = 1.0
    await model_at(provider).complete(ask())  # LiteLLM is imported
    monkeypatch.setattr("jurist_litellm._client.LONGEST_CALL", 0.2)
    error = await failure(provider)
    assert (error.retryable, error.fatal) == (True, False)


@pytest.mark.parametrize(
    "response",
    [
        lambda: web.Response(text="<html>bad gateway</html>", content_type="text/html"),
        lambda: web.Response(text='{"id": "x", "choi', content_type="application/json"),
        lambda: web.json_response({**body("x"), "choices": []}),
        lambda: web.json_response({"unexpected": True}),
    ],
    ids=["html", "cut off", "no choices", "another protocol"],
)
async def test_garbage_can_pass_and_is_never_an_answer(provider: Any, response: Any) -> None:
    provider.handler = lambda _: response()
    error = await failure(provider)
    assert (error.retryable, error.fatal) == (True, False)


@pytest.mark.parametrize(
    ("status", "hint"), [(401, "OPENAI_API_KEY"), (403, "OPENAI_API_KEY"), (404, "api_base")]
)
async def test_what_no_call_can_mend_is_fatal(
    provider: Any, status: int, hint: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    provider.handler = lambda _: fault(status, "no, not with sk-secret")
    error = await failure(provider)
    assert (error.retryable, error.fatal) == (False, True)
    assert hint in str(error.hint)
    assert "sk-secret" not in str(error)
    assert "jurist-litellm" in str(error)


async def test_a_missing_key_names_its_variable(provider: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    error = await failure(provider, api_key=None)
    assert error.fatal
    assert "OPENAI_API_KEY" in str(error.hint)
    assert provider.bodies == []


async def test_an_unknown_provider_is_fatal(provider: Any) -> None:
    error = await failure(provider, model="no-such-thing", api_base=None)
    assert error.fatal
    assert "knows no provider of the model 'no-such-thing'" in str(error)


@pytest.mark.parametrize(
    "message", ["'x' is not a valid value", "This model's maximum context length is 8 tokens."]
)
async def test_a_bad_request_fails_its_item_only(provider: Any, message: str) -> None:
    provider.handler = lambda _: fault(400, message)
    error = await failure(provider)
    assert (error.retryable, error.fatal) == (False, False)
    assert message in str(error)
    assert ("shorten" in str(error)) == ("context" in message)


async def test_an_unknown_price_is_said_once(provider: Any, caplog: pytest.LogCaptureFixture) -> None:
    model = model_at(provider, model="hosted_vllm/mine")
    with caplog.at_level(logging.WARNING, "jurist_litellm"):
        replies = [await model.complete(ask()) for _ in range(2)]
    assert [reply.usage.usd for reply in replies] == [0.0, 0.0]
    assert [r.message for r in caplog.records if r.name == "jurist_litellm"] == [caplog.messages[0]]
    for said in (
        "dollars",
        "hosted_vllm/mine",
        "input_cost_per_token",
        "output_cost_per_token",
        "--max-tokens",
    ):
        assert said in caplog.messages[0]


async def test_prices_can_be_given(provider: Any) -> None:
    prices = {"input_cost_per_token": 1e-3, "output_cost_per_token": 1e-2}
    reply = await model_at(provider, model="hosted_vllm/priced", extra=prices).complete(ask())
    assert reply.usage.usd == pytest.approx(1000 * 1e-3 + 100 * 1e-2)


async def test_uncounted_tokens_are_estimated(provider: Any) -> None:
    provider.handler = lambda _: web.json_response({k: v for k, v in body("one two").items() if k != "usage"})
    reply = await model_at(provider).complete(ask("a few words"))
    assert 5 < reply.usage.prompt_tokens < 40
    assert reply.usage.completion_tokens == 2


async def test_fifty_at_once_keep_their_replies(provider: Any) -> None:
    provider.handler = lambda sent: web.json_response(body(f"re: {sent['messages'][-1]['content']}"))
    provider.delay = 0.3
    model = model_at(provider)
    replies = await asyncio.gather(*(model.complete(ask(f"question {n}")) for n in range(50)))
    assert all(isinstance(reply, ChatReply) for reply in replies)
    assert [reply.text for reply in replies] == [f"re: question {n}" for n in range(50)]
    assert provider.most_in_flight > 25
    assert len(provider.bodies) == 50
