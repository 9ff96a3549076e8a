import asyncio
import math
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from jurist.chat import ChatReply, ChatRequest, Sampling
from jurist.errors import ProviderError
from jurist.prices import Price
from jurist.records import Message
from jurist.testing.simulator import Asked, Faults, Simulator
from jurist_openai import plugin
from jurist_openai.failures import is_refusal, status_error
from jurist_openai.model import OpenAIChatModel
from jurist_openai.options import OpenAIOptions
from jurist_openai.replies import reply_of
from jurist_openai.requests import body_of

KEY = "sk-planted-secret"
OPTIONS = OpenAIOptions(model="mine")


def ask(text: str = "Hello", *choices: str, **sampling: Any) -> ChatRequest:
    return ChatRequest(
        messages=(Message(role="system", content="Be kind."), Message(role="user", content=text)),
        sampling=Sampling(**{"temperature": 0.5, "max_tokens": 20, **sampling}),
        choices=choices,
    )


async def asked_of(server: Simulator, request: ChatRequest | None = None, **options: Any) -> ChatReply:
    given = {"model": "mine", "base_url": server.url, "api_key": KEY, **options}
    model = OpenAIChatModel(OpenAIOptions.model_validate(given))
    try:
        return await model.complete(request or ask())
    finally:
        await model.close()


async def failure(server: Simulator, request: ChatRequest | None = None, **options: Any) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await asked_of(server, request, **options)
    assert KEY not in f"{caught.value} {caught.value!r}"
    return caught.value


def test_the_plugin_offers_the_model() -> None:
    (component,) = plugin.jurist_chat_models()
    assert (component.name, component.target) == ("openai", "jurist_openai.model:OpenAIChatModel")


def test_naming_and_making_the_model_loads_nothing_heavy() -> None:
    code = (
        "import sys, jurist_openai.plugin, jurist_openai.model as m\n"
        "m.OpenAIChatModel(m.OpenAIOptions(model='gpt-5-mini')).identity()\n"
        "print(sorted({'openai', 'aiohttp', 'orjson', 'tiktoken', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


async def test_a_reply_with_its_usage_and_price() -> None:
    with Simulator(lambda asked: "one two three") as server:
        price = {"input": 2, "output": 10, "cached_input": 0.5}
        reply = await asked_of(server, ask("a b c", seed=7, stop=("END",), top_p=0.9), price=price)
    assert (reply.text, reply.finish_reason) == ("one two three", "stop")
    assert reply.served_model == "mine-2026-01-15"
    assert reply.fingerprint == "fp_simulator"
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (5, 3)
    assert reply.usage.usd == pytest.approx((5 * 2 + 3 * 10) / 1e6)
    assert reply.usage.seconds > 0
    (sent,) = server.counters.bodies
    assert sent == {
        "model": "mine",
        "messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "a b c"}],
        "max_tokens": 20,
        "temperature": 0.5,
        "top_p": 0.9,
        "stop": ["END"],
        "seed": 7,
    }
    assert server.counters.headers[0]["Authorization"] == f"Bearer {KEY}"


def test_cached_tokens_cost_what_they_cost() -> None:
    usage = {
        "prompt_tokens": 1000,
        "completion_tokens": 10,
        "prompt_tokens_details": {"cached_tokens": 600},
    }
    body = {"choices": [{"message": {"content": "x"}, "finish_reason": "stop"}], "usage": usage}
    price = Price(input=2, output=10, cached_input=0.5, batch=0.5)
    online = (400 * 2 + 600 * 0.5 + 10 * 10) / 1e6
    assert reply_of(body, OPTIONS, price).usage.usd == pytest.approx(online)
    assert reply_of(body, OPTIONS, price, batch=True).usage.usd == pytest.approx(online / 2)


async def test_choices_get_their_log_probabilities() -> None:
    with Simulator(lambda asked: "B") as server:
        question = "Which is better? Answer with the letter A or B alone."
        reply = await asked_of(server, ask(question, "A", "B"), top_logprobs=5)
        sent = server.counters.bodies[0]
    assert (sent["logprobs"], sent["top_logprobs"]) == (True, 5)
    assert reply.choice_logprobs == pytest.approx((math.log(0.1), math.log(0.9)))


def test_models_that_reason_get_room_to_think_and_no_sampling() -> None:
    options = OpenAIOptions(model="gpt-5-mini", extra={"reasoning_effort": "low"}, structured=True)
    body = body_of(ask("x", "A", "B", stop=("END",), top_p=0.5), options)
    assert body.keys() == {
        *("model", "messages", "reasoning_effort", "max_completion_tokens", "response_format"),
    }
    assert body["max_completion_tokens"] == OpenAIChatModel(options).most_tokens(ask()) == 20 + 4096
    assert OpenAIChatModel(OpenAIOptions(model="gpt-4o-mini")).most_tokens(ask()) == 20
    schema = body["response_format"]["json_schema"]["schema"]
    assert schema["properties"] == {"answer": {"type": "string", "enum": ["A", "B"]}}
    scores = body_of(ask("x", "1", "10"), options)["response_format"]["json_schema"]["schema"]
    assert scores["properties"] == {"score": {"type": "integer", "enum": [1, 10]}}


@pytest.mark.parametrize(
    ("model", "reasons"),
    [
        *[("gpt-5-mini", True), ("o3", True), ("o4-mini-2025-04-16", True), ("gpt-5.2", True)],
        *[("gpt-4o-mini", False), ("gpt-5-chat-latest", False), ("llama-3", False), ("openchat", False)],
    ],
)
def test_which_models_reason_goes_by_openais_names(model: str, reasons: bool) -> None:
    assert OpenAIOptions(model=model).reasons is reasons
    assert OpenAIOptions(model=model, reasoning="no").reasons is False


def test_an_assistant_turn_is_continued_by_servers_of_ones_own_alone() -> None:
    turns = (*ask().messages, Message(role="assistant", content="The answer is"))
    request = ask().model_copy(update={"messages": turns})
    own = body_of(request, OpenAIOptions(model="mine", base_url="http://127.0.0.1:8000/v1"))
    assert (own["continue_final_message"], own["add_generation_prompt"]) == (True, False)
    with pytest.raises(ProviderError, match="cannot continue an assistant message"):
        body_of(request, OpenAIOptions(model="gpt-4o-mini"))


async def test_length_and_refusals_are_told_apart() -> None:
    with Simulator(lambda asked: "one two three four") as server:
        assert (await asked_of(server, ask(max_tokens=2))).finish_reason == "length"
    with Simulator(faults=Faults(refusal=1.0)) as server:
        replies = [await asked_of(server) for _ in range(2)]  # by turns in the message and by a filter
    assert [reply.finish_reason for reply in replies] == ["refusal", "refusal"]


@pytest.mark.parametrize(
    ("status", "body", "refused"),
    [
        (400, {"error": {"code": "content_filter", "message": "filtered"}}, True),
        (400, {"error": {"code": None, "message": "content_policy_violation"}}, True),
        (403, {"error": {"message": "Your input was flagged"}}, True),
        (400, {"error": {"message": "The response was filtered by our content management policy."}}, True),
        (400, {"error": {"message": "Error code: 400 - {'code': 'content_filter', 'status': 400}"}}, True),
        (400, {"error": {"message": "Unrecognized request argument: content_filter_level"}}, False),
        (400, {"error": {"code": "content_filter_level_unknown", "message": "no"}}, False),
        (400, {"error": {"code": "invalid", "message": "max_tokens"}}, False),
        (429, {"error": {"code": "content_filter"}}, False),
    ],
)
def test_a_content_filter_is_a_refusal(status: int, body: Any, refused: bool) -> None:
    assert is_refusal(status, body) is refused


@pytest.mark.parametrize(
    ("reason", "read"), [("stop", "stop"), ("eos_token", "stop"), (None, "stop"), ("length", "length")]
)
def test_how_servers_say_that_an_answer_is_whole(reason: str | None, read: str) -> None:
    body = {"choices": [{"message": {"content": "x"}, "finish_reason": reason}]}
    assert reply_of(body, OPTIONS, None).finish_reason == read


@pytest.mark.parametrize("reason", ["abort", "error", "insufficient_system_resource", "tool_calls"])
def test_half_an_answer_is_none(reason: str) -> None:
    with pytest.raises(ProviderError, match="no reply") as caught:
        reply_of({"choices": [{"message": {"content": "half"}, "finish_reason": reason}]}, OPTIONS, None)
    assert caught.value.retryable
    assert reason in str(caught.value)


def test_an_error_in_place_of_a_reply_is_told() -> None:
    with pytest.raises(ProviderError, match="the model is loading") as caught:
        reply_of({"error": {"message": "the model is loading"}}, OPTIONS, None)
    assert caught.value.retryable


def test_a_redirect_ends_the_run() -> None:
    error = status_error(301, {}, "", OpenAIOptions(model="x", base_url="http://a/v1"))
    assert error.fatal
    assert "base_url" in str(error.hint)


@pytest.mark.parametrize("address", ["", "127.0.0.1:8000/v1"])
def test_what_is_no_address_does_not_mean_openais_server(address: str) -> None:
    with pytest.raises(ValidationError, match="begins with http"):
        OpenAIOptions(model="x", base_url=address)


async def test_a_password_in_the_address_is_not_shown() -> None:
    model = OpenAIChatModel(OpenAIOptions(model="x", base_url=f"http://me:{KEY}@127.0.0.1:9/v1"))
    with pytest.raises(ProviderError) as caught:
        await model.complete(ask())
    await model.close()
    assert KEY not in str(caught.value)


@pytest.mark.parametrize("fault", ["server_error", "overloaded", "reset", "truncated", "not_json"])
async def test_trouble_at_the_provider_can_pass(fault: str) -> None:
    with Simulator(faults=Faults(**{fault: 1.0})) as server:
        for _ in range(2):
            error = await failure(server)
            assert (error.retryable, error.fatal) == (True, False)
            assert error.rate_limited is (fault == "overloaded")
            assert "jurist-openai" in str(error)
        assert server.counters.requests == 2  # one call each: the engine alone tries again


async def test_429_says_how_long_to_wait() -> None:
    with Simulator(faults=Faults(rate_limited=1.0, retry_after=7)) as server:
        error = await failure(server)
    assert (error.retryable, error.rate_limited, error.retry_after) == (True, True, 7.0)
    with Simulator(faults=Faults(rate_limited=1.0, retry_after=30, retry_after_date=True)) as server:
        error = await failure(server)
    assert error.retry_after == pytest.approx(30, abs=2)


async def test_an_account_without_credit_ends_the_run() -> None:
    with Simulator(faults=Faults(rate_limited=1.0, insufficient_quota=True)) as server:
        error = await failure(server)
    assert (error.fatal, error.retryable) == (True, False)
    assert "credit" in str(error.hint)


async def test_nobody_listening_can_pass() -> None:
    model = OpenAIChatModel(OpenAIOptions(model="x", base_url="http://127.0.0.1:9/v1"))
    with pytest.raises(ProviderError) as caught:
        await model.complete(ask())
    await model.close()
    assert caught.value.retryable
    assert "http://127.0.0.1:9/v1" in str(caught.value)


async def test_a_wrong_key_ends_the_run_and_names_its_variable() -> None:
    with Simulator(keys={"another"}) as server:
        error = await failure(server)
    assert error.fatal
    assert "OPENAI_API_KEY" in str(error.hint)


async def test_a_missing_key_is_found_before_the_first_call(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    model = OpenAIChatModel(OpenAIOptions(model="gpt-5-mini"))
    with pytest.raises(ProviderError) as caught:
        await model.complete(ask())
    assert caught.value.fatal
    assert "OPENAI_API_KEY" in str(caught.value.hint)
    with pytest.raises(ProviderError, match="needs a key"):
        model.check_access()
    OpenAIChatModel(OpenAIOptions(model="own", base_url="http://127.0.0.1:9/v1")).check_access()
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    model.check_access()


def test_an_unknown_model_is_told_which_there_are() -> None:
    options = OpenAIOptions(model="x", api_key=KEY)  # type: ignore[arg-type]
    error = status_error(404, {}, {"error": {"message": f"no model x for {KEY}"}}, options)
    assert error.fatal
    assert KEY not in str(error)


async def test_the_environment_is_read_as_openais_client_reads_it(monkeypatch: pytest.MonkeyPatch) -> None:
    with Simulator(lambda asked: "yes") as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        monkeypatch.setenv("OPENAI_API_KEY", KEY)
        monkeypatch.setenv("OPENAI_ORG_ID", "org-1")
        monkeypatch.setenv("OPENAI_PROJECT_ID", "proj-1")
        assert (await asked_of(server, base_url=None, api_key=None)).text == "yes"
        headers = server.counters.headers[0]
    assert headers["Authorization"] == f"Bearer {KEY}"
    assert headers["OpenAI-Organization"] == "org-1"
    assert headers["OpenAI-Project"] == "proj-1"


def test_azure_is_addressed_by_deployment() -> None:
    options = OpenAIOptions(
        model="judge", base_url="https://me.openai.azure.com", api_version="2025-04-01", api_key=KEY
    )  # type: ignore[arg-type]
    assert options.chat_url() == (
        "https://me.openai.azure.com/openai/deployments/judge/chat/completions?api-version=2025-04-01"
    )
    assert options.headers()["api-key"] == KEY
    assert "Authorization" not in options.headers()


def test_extra_cannot_bend_the_request() -> None:
    with pytest.raises(ValidationError, match="max_tokens, temperature cannot be given in extra"):
        OpenAIOptions(model="x", extra={"temperature": 0, "max_tokens": 3, "service_tier": "flex"})


def test_prices_are_openais_for_openais_server_alone() -> None:
    listed = OpenAIChatModel(OpenAIOptions(model="gpt-4o-mini")).price()
    assert listed == Price(input=0.15, output=0.6, cached_input=0.075, batch=0.5)
    assert OpenAIChatModel(OpenAIOptions(model="gpt-none")).price() is None
    own = OpenAIOptions(model="gpt-4o-mini", base_url="http://127.0.0.1:8000/v1")
    assert OpenAIChatModel(own).price() is None
    given = own.model_copy(update={"price": Price(input=0, output=0)})
    assert OpenAIChatModel(given).price() == Price(input=0, output=0)


async def test_tokens_are_counted_by_openais_tokenizer(monkeypatch: pytest.MonkeyPatch) -> None:
    found = find_spec("litellm")  # it brings the vocabularies, so that no test fetches them
    assert found is not None
    assert found.origin is not None
    vocabularies = Path(found.origin).parent / "litellm_core_utils" / "tokenizers"
    monkeypatch.setenv("TIKTOKEN_CACHE_DIR", str(vocabularies))
    model = OpenAIChatModel(OpenAIOptions(model="gpt-4o-mini"))
    # "Be kind." and "hello world" are 3 and 2 tokens of o200k_base; 4 around each message, 3 for the reply.
    assert await model.prompt_tokens(ask("hello world")) == 3 + 2 + 2 * 4 + 3
    assert await OpenAIChatModel(OpenAIOptions(model="no-such-model")).prompt_tokens(ask()) is None


async def test_fifty_at_once_keep_their_replies() -> None:
    def answer(asked: Asked) -> str:
        return f"re: {asked.messages[-1][1]}"

    with Simulator(answer) as server:
        model = OpenAIChatModel(OpenAIOptions(model="mine", base_url=server.url, api_key=KEY))  # type: ignore[arg-type]
        replies = await asyncio.gather(*(model.complete(ask(f"question {n}")) for n in range(50)))
        await model.close()
    assert [reply.text for reply in replies] == [f"re: question {n}" for n in range(50)]
