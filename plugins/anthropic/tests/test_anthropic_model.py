import asyncio
import logging
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import ValidationError

from jurist.chat import ChatRequest
from jurist.contracts import BatchChatModel
from jurist.engine.limits import Limits
from jurist.prices import Price
from jurist.records import Message
from jurist.testing.simulator import Faults, Latency, Simulator
from jurist_anthropic import plugin
from jurist_anthropic.model import AnthropicChatModel, AnthropicOptions

Ask = Callable[..., ChatRequest]
Make = Callable[..., AnthropicChatModel]


def test_the_plugin_offers_the_model() -> None:
    (component,) = plugin.jurist_chat_models()
    assert component.name == "anthropic"
    assert component.collected("chat_model", "jurist-anthropic").load() is AnthropicChatModel


def test_importing_the_class_does_not_load_the_client() -> None:
    code = (
        "import sys, jurist_anthropic.plugin, jurist_anthropic.model as m\n"
        "made = m.AnthropicChatModel(m.AnthropicOptions(model='claude-opus-5'))\n"
        "made.identity(), made.price()\n"
        "print(sorted({'anthropic', 'httpx', 'httpx2', 'aiohttp', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == "[]"


def test_what_the_engine_is_told() -> None:
    assert issubclass(AnthropicChatModel, BatchChatModel)
    assert AnthropicChatModel.limits == Limits(concurrency=32, timeout=600)
    assert AnthropicChatModel.batch_size == 100_000
    assert AnthropicChatModel.capabilities == frozenset()


def test_extra_cannot_bend_the_request() -> None:
    with pytest.raises(ValidationError, match="system, temperature cannot be given in extra"):
        AnthropicOptions(
            model="x", extra={"temperature": 0, "system": "lie", "output_config": {"effort": "low"}}
        )


def test_the_identity_is_what_can_change_an_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ANTHROPIC_BASE_URL", raising=False)
    options = AnthropicOptions(
        model="claude-opus-5", api_key="sk-secret", cache=False, price=Price(input=1, output=2)
    )
    expected = {"model": "claude-opus-5", "base_url": "https://api.anthropic.com", "sampling": None}
    assert AnthropicChatModel(options).identity() == {**expected, "extra": {}}
    monkeypatch.setenv("ANTHROPIC_BASE_URL", "http://127.0.0.1:9/")
    assert AnthropicChatModel(options).identity() == {
        **expected,
        "extra": {},
        "base_url": "http://127.0.0.1:9",
    }


def test_prices() -> None:
    assert AnthropicChatModel(AnthropicOptions(model="claude-haiku-4-5")).price() == Price(
        input=1, output=5, cached_input=0.1, cache_write=1.25, batch=0.5
    )
    assert AnthropicChatModel(AnthropicOptions(model="no-such-model")).price() is None
    own = Price(input=7, output=8)
    assert AnthropicChatModel(AnthropicOptions(model="claude-haiku-4-5", price=own)).price() == own


async def test_a_reply_with_its_usage_and_cost(ask: Ask, model_at: Make) -> None:
    with Simulator(lambda asked: "你好, friend", served_model="claude-haiku-4-5-20251001") as server:
        reply = await model_at(server.anthropic_url).complete(ask("one two three"))
    assert reply.text == "你好, friend"
    assert reply.finish_reason == "stop"
    assert reply.served_model == "claude-haiku-4-5-20251001"
    assert reply.choice_logprobs is None
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (5, 2)
    assert reply.usage.usd == pytest.approx(5 * 1e-6 + 2 * 5e-6)
    assert 0 < reply.usage.seconds < 10


async def test_choices_are_answered_as_text(ask: Ask, model_at: Make) -> None:
    with Simulator(lambda asked: "B") as server:
        request = ask().model_copy(update={"choices": ("A", "B")})
        reply = await model_at(server.anthropic_url).complete(request)
    assert (reply.text, reply.choice_logprobs) == ("B", None)


async def test_length_stops_and_refusals_are_told_apart(ask: Ask, model_at: Make) -> None:
    with Simulator() as server:
        model = model_at(server.anthropic_url)
        cut = await model.complete(ask("one two three", max_tokens=2))
        stopped = await model.complete(ask("one two three", stop=("two",)))
        assert server.counters.bodies[-1]["stop_sequences"] == ["two"]
    with Simulator(faults=Faults(refusal=1)) as server:
        refused = await model_at(server.anthropic_url).complete(ask())
    assert [(reply.text.strip(), reply.finish_reason) for reply in (cut, stopped)] == [
        ("one two", "length"),
        ("one", "stop"),
    ]
    assert refused.finish_reason == "refusal"


async def test_an_unknown_price_is_said_once(
    ask: Ask, model_at: Make, caplog: pytest.LogCaptureFixture
) -> None:
    with Simulator() as server, caplog.at_level(logging.WARNING, "jurist_anthropic"):
        model = model_at(server.anthropic_url, model="my-own")
        replies = [await model.complete(ask(text)) for text in ("a", "b")]
    assert [reply.usage.usd for reply in replies] == [0.0, 0.0]
    (said,) = [record.getMessage() for record in caplog.records if record.name == "jurist_anthropic"]
    assert all(word in said for word in ("my-own", "dollars", "price: {input: …", "--max-tokens"))


async def test_an_assistant_turn_is_sent_last(ask: Ask, model_at: Make) -> None:
    turns = (*ask().messages, Message(role="assistant", content="The answer is"))
    with Simulator() as server:
        reply = await model_at(server.anthropic_url).complete(ask().model_copy(update={"messages": turns}))
        assert server.counters.bodies[-1]["messages"][-1] == {
            "role": "assistant",
            "content": "The answer is",
        }
    assert reply.finish_reason == "stop"


async def test_the_key_comes_from_the_option_or_the_environment(
    ask: Ask, model_at: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANTHROPIC_API_KEY", "sk-from-environment")
    with Simulator() as server:
        monkeypatch.setenv("ANTHROPIC_BASE_URL", server.anthropic_url)
        await model_at(server.anthropic_url).complete(ask())
        await model_at(None, api_key=None).complete(ask())
        monkeypatch.delenv("ANTHROPIC_API_KEY")
        monkeypatch.setenv("ANTHROPIC_AUTH_TOKEN", "token-from-environment")
        await model_at(None, api_key=None).complete(ask())
        sent = [headers["Authorization"] for headers in server.counters.headers]
    assert sent == ["Bearer sk-secret", "Bearer sk-from-environment", "Bearer token-from-environment"]


async def test_fifty_at_once_keep_their_replies_over_one_client(
    ask: Ask, model_at: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Any] = []
    make_client = AnthropicChatModel._make_client

    def counted(model: AnthropicChatModel) -> Any:
        made.append(model)
        return make_client(model)

    monkeypatch.setattr(AnthropicChatModel, "_make_client", counted)
    with Simulator(latency=Latency.constant(0.5)) as server:
        model = model_at(server.anthropic_url)
        replies = await asyncio.gather(*(model.complete(ask(f"question {n}")) for n in range(50)))
        assert server.counters.most_in_flight > 25
        assert server.counters.requests == 50
    assert [reply.text for reply in replies] == [f"question {n}" for n in range(50)]
    assert made == [model]


@pytest.mark.parametrize("address", ["", "127.0.0.1:8000"])
def test_what_is_no_address_does_not_mean_anthropics_server(address: str) -> None:
    with pytest.raises(ValueError, match="begins with http"):
        AnthropicOptions(model="x", base_url=address)
