import asyncio
import logging
import socket
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from jurist.chat import ChatRequest
from jurist.prices import Price
from jurist.testing.simulator import Simulator
from jurist_litellm.model import LiteLLMChatModel, LiteLLMOptions

# LiteLLM's own types warn, or not, depending on when it was first imported.
pytestmark = pytest.mark.filterwarnings("ignore:Items? .* using the .ReadOnly. qualifier:UserWarning")

Ask = Callable[..., ChatRequest]
Make = Callable[..., LiteLLMChatModel]
GIVEN = {"input": 2, "output": 10, "cached_input": 0.5, "cache_write": 3}


@pytest.mark.parametrize(
    ("model", "listed"),
    [
        ("openai/gpt-4o-mini", Price(input=0.15, output=0.6, cached_input=0.075)),
        ("gpt-4o-mini", Price(input=0.15, output=0.6, cached_input=0.075)),
        ("anthropic/claude-haiku-4-5", Price(input=1, output=5, cached_input=0.1, cache_write=1.25)),
        ("azure_ai/gpt-4o-mini", Price(input=0.15, output=0.6, cached_input=0.075)),
        ("ollama/llama3", Price(input=0, output=0)),
        *(("hosted_vllm/gpt-4o-mini", None), ("hosted_vllm/mine", None), ("openai/mine", None)),
        # LiteLLM takes zeros for the price of these: of models that it guesses at, and of a hub that it asks.
        *(("openai/gpt-5-of-tomorrow", None), ("huggingface/me/mine", None), ("ollama/mine", None)),
        ("no-such-provider", None),
    ],
)
def test_prices_are_those_of_litellms_table(
    model: str, listed: Price | None, model_at: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    def connect(*_: object) -> None:
        raise AssertionError("a price was asked for over the network")

    monkeypatch.setattr(socket.socket, "connect", connect)
    assert model_at(None, model).price() == listed


def test_a_given_price_comes_first_and_is_no_part_of_what_is_asked() -> None:
    priced = LiteLLMChatModel(LiteLLMOptions(model="openai/gpt-4o-mini", price=Price(input=1, output=2)))
    assert priced.price() == Price(input=1, output=2)
    assert priced.identity() == LiteLLMChatModel(LiteLLMOptions(model="openai/gpt-4o-mini")).identity()


def test_prices_in_extra_are_shown_where_they_belong() -> None:
    given = {"input_cost_per_token": 1e-6, "output_cost_per_token": 2e-6}
    with pytest.raises(ValidationError, match=r"input_cost_per_token, output_cost_per_token .* set price: {"):
        LiteLLMOptions.model_validate({"model": "openai/x", "extra": given})


async def test_calls_cost_what_litellm_says(ask: Ask, model_at: Make) -> None:
    with Simulator(lambda asked: "one two three") as server:
        replies = [await model_at(server.url).complete(ask("a b c")) for _ in range(2)]
    assert [each.usage.usd for each in replies] == pytest.approx([5 * 0.15e-6 + 3 * 0.6e-6] * 2)


async def test_calls_cost_what_is_given(ask: Ask, model_at: Make, caplog: pytest.LogCaptureFixture) -> None:
    with Simulator(lambda asked: "one two three") as server, caplog.at_level(logging.WARNING):
        for model in ("openai/gpt-4o-mini", "hosted_vllm/mine"):
            reply = await model_at(server.url, model, price=GIVEN).complete(ask("a b c"))
            assert reply.usage.usd == pytest.approx((5 * 2 + 3 * 10) / 1e6)
    assert not [each for each in caplog.records if each.name == "jurist_litellm"]


async def test_cached_tokens_cost_what_they_cost(provider: Any, ask: Ask, model_at: Make) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}
    counted = {"prompt_tokens": 1000, "completion_tokens": 10, "total_tokens": 1010}
    usage = {**counted, "prompt_tokens_details": {"cached_tokens": 600}}
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "x"}
    provider.reply = lambda: web.json_response({**body, "choices": [choice], "usage": usage})
    reply = await model_at(provider.url, price=GIVEN).complete(ask())
    assert reply.usage.usd == pytest.approx((400 * 2 + 600 * 0.5 + 10 * 10) / 1e6)


async def test_tokens_written_to_a_cache_cost_what_they_cost(ask: Ask, model_at: Make) -> None:
    mark: Any = [{"location": "message", "role": "user"}]
    extra = {"cache_control_injection_points": mark}
    prompt = " ".join(["word"] * 5000)
    with Simulator(lambda asked: "one two") as server:
        model = model_at(server.anthropic_url, "anthropic/claude-haiku-4-5", price=GIVEN, extra=extra)
        written, read = [await model.complete(ask(prompt)) for _ in range(2)]
    assert written.usage.prompt_tokens == read.usage.prompt_tokens == 5002
    assert written.usage.usd == pytest.approx((5002 * 3 + 2 * 10) / 1e6)
    assert read.usage.usd == pytest.approx((5002 * 0.5 + 2 * 10) / 1e6)


@pytest.mark.parametrize("model", ["hosted_vllm/mine", "openai/gpt-5-of-tomorrow"])
async def test_an_unknown_price_is_said_once(
    model: str, ask: Ask, model_at: Make, caplog: pytest.LogCaptureFixture
) -> None:
    with Simulator() as server, caplog.at_level(logging.WARNING, "jurist_litellm"):
        asked = model_at(server.url, model)
        replies = await asyncio.gather(*(asked.complete(ask(f"question {n}")) for n in range(8)))
    assert [reply.usage.usd for reply in replies] == [0.0] * 8
    (said,) = [each.message for each in caplog.records if each.name == "jurist_litellm"]
    for word in ("dollars", model, "price: {input: …, output: …}", "--max-tokens"):
        assert word in said


async def test_a_cost_that_the_provider_states_counts(provider: Any, ask: Ask, model_at: Make) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "x"}, "finish_reason": "stop"}
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "some/model", "choices": [choice]}
    counted = {"prompt_tokens": 10, "completion_tokens": 1, "total_tokens": 11}
    stated = iter(({}, {"cost": 0.25}, {}))
    provider.reply = lambda: web.json_response({**body, "usage": {**counted, **next(stated)}})
    model = model_at(provider.url, "openrouter/some/model")
    assert [(await model.complete(ask())).usage.usd for _ in range(3)] == [0.0, 0.25, 0.0]
