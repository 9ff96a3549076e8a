import asyncio
import math
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import pytest
from aiohttp import web
from pydantic import ValidationError

from jurist.chat import ChatReply, ChatRequest
from jurist.engine.limits import Limits
from jurist.errors import ProviderError
from jurist.records import Message
from jurist.testing.simulator import Asked, Faults, Latency, Simulator
from jurist_litellm import plugin
from jurist_litellm.model import LiteLLMChatModel, LiteLLMOptions

# LiteLLM's own types warn, or not, depending on when it was first imported.
pytestmark = pytest.mark.filterwarnings("ignore:Items? .* using the .ReadOnly. qualifier:UserWarning")

Ask = Callable[..., ChatRequest]
Make = Callable[..., LiteLLMChatModel]
LETTER = "Which is better? Answer with the letter A or B alone."


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


async def test_a_reply_with_its_usage(ask: Ask, model_at: Make) -> None:
    with Simulator(lambda asked: "你好, friend") as server:
        model = model_at(server.url, extra={"user": "me"})
        reply = await model.complete(ask("说 什么", seed=7, stop=("END",), top_p=0.9))
    assert (reply.text, reply.finish_reason) == ("你好, friend", "stop")
    assert (reply.served_model, reply.fingerprint) == ("gpt-4o-mini-2026-01-15", "fp_simulator")
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (4, 2)
    assert reply.usage.seconds > 0
    (sent,) = server.counters.bodies
    assert sent["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "说 什么"},
    ]
    expected = {"temperature": 0.5, "top_p": 0.9, "max_tokens": 20, "stop": ["END"], "seed": 7, "user": "me"}
    assert {name: sent[name] for name in expected} == expected
    assert "logprobs" not in sent
    assert server.counters.headers[0]["Authorization"] == "Bearer sk-secret"


async def test_another_protocol_is_spoken_where_the_provider_has_its_own(ask: Ask, model_at: Make) -> None:
    with Simulator(lambda asked: f"{asked.provider}: {asked.messages}") as server:
        reply = await model_at(server.anthropic_url, "anthropic/claude-haiku-4-5").complete(ask(stop=("?",)))
    assert reply.text == "anthropic: (('system', 'Be kind.'), ('user', 'Hello there'))"
    assert server.counters.bodies[0]["stop_sequences"] == ["?"]
    assert server.counters.headers[0]["x-api-key"] == "sk-secret"


async def test_length_and_refusals_are_told_apart(ask: Ask, model_at: Make) -> None:
    with Simulator(lambda asked: "one two three") as server:
        cut = await model_at(server.url).complete(ask(max_tokens=2))
    assert (cut.text, cut.finish_reason) == ("one two", "length")
    with Simulator(faults=Faults(refusal=1.0)) as server:
        model = model_at(server.url)
        refused = [await model.complete(ask("x", "A", "B")) for _ in range(2)]  # by turns in both ways
    assert [(each.text, each.finish_reason) for each in refused] == [("", "refusal")] * 2
    assert [each.choice_logprobs for each in refused] == [None, None]


async def test_choices_get_their_log_probabilities(ask: Ask, model_at: Make) -> None:
    with Simulator(lambda asked: {"B": 0.8, "A": 0.15, "C": 0.05}) as server:
        reply = await model_at(server.url, top_logprobs=5).complete(ask(LETTER, "A", "B"))
        sent = server.counters.bodies[0]
    assert reply.choice_logprobs == pytest.approx((math.log(0.15), math.log(0.8)))
    assert reply.text == "B"
    assert (sent["logprobs"], sent["top_logprobs"]) == (True, 5)


async def test_a_choice_that_is_not_listed_leaves_the_text(ask: Ask, model_at: Make) -> None:
    with Simulator(lambda asked: {"B": 0.99, "C": 0.01}) as server:
        reply = await model_at(server.url).complete(ask(LETTER, "A", "B"))
    assert (reply.text, reply.choice_logprobs) == ("B", None)


async def test_a_model_without_log_probabilities_is_asked_for_text(ask: Ask, model_at: Make) -> None:
    with Simulator(lambda asked: "A") as server:
        reply = await model_at(server.url, "openai/gpt-5-mini").complete(ask(LETTER, "A", "B"))
    assert (reply.text, reply.choice_logprobs) == ("A", None)
    assert "logprobs" not in server.counters.bodies[0]


async def test_an_assistant_turn_is_continued_where_the_provider_can(ask: Ask, model_at: Make) -> None:
    turns = (*ask().messages, Message(role="assistant", content="The answer is"))
    request = ask().model_copy(update={"messages": turns})
    with Simulator() as server:
        await model_at(server.url, "hosted_vllm/mine").complete(request)
        with pytest.raises(ProviderError, match="cannot continue an assistant message"):
            await model_at(server.url).complete(request)
        await model_at(server.anthropic_url, "anthropic/claude-haiku-4-5").complete(request)
    own, claude = server.counters.bodies
    assert (own["continue_final_message"], own["add_generation_prompt"]) == (True, False)
    assert claude["messages"][-1]["role"] == "assistant"


def test_a_call_may_take_five_minutes_and_the_engine_alone_ends_it(ask: Ask) -> None:
    import litellm

    from jurist_litellm.client import Client
    from jurist_litellm.listing import Listing

    assert LiteLLMChatModel.limits == Limits(concurrency=32, timeout=300)
    with pytest.raises(ValidationError, match="timeout"):
        LiteLLMOptions(model="openai/x", timeout=10)  # type: ignore[call-arg]
    client = Client(LiteLLMOptions(model="openai/x"), Listing("openai/x", None))
    sent = client._parameters(ask())
    assert sent["timeout"] >= max(3600, LiteLLMChatModel.limits.timeout or 0, litellm.request_timeout)


async def test_uncounted_tokens_are_estimated(provider: Any, ask: Ask, model_at: Make) -> None:
    choice = {"index": 0, "message": {"role": "assistant", "content": "one two"}, "finish_reason": "stop"}
    body = {"id": "1", "object": "chat.completion", "created": 1, "model": "x", "choices": [choice]}
    provider.reply = lambda: web.json_response(body)
    reply = await model_at(provider.url).complete(ask("a few words"))
    assert 5 < reply.usage.prompt_tokens < 40
    assert reply.usage.completion_tokens == 2


@pytest.mark.parametrize("model", ["openai/gpt-4o-mini", "gpt-4o-mini", "azure/gpt-4o-mini"])
async def test_tokens_are_counted_by_the_vocabulary_of_the_model(
    model: str, ask: Ask, model_at: Make
) -> None:
    # In o200k_base "Be kind." has 3 tokens, "哪个回答更好" 4, each role 1; around each message and before the
    # reply there are 3.
    assert await model_at(None, model).prompt_tokens(ask("哪个回答更好")) == 3 + 4 + 2 * (1 + 3) + 3


@pytest.mark.parametrize("model", ["hosted_vllm/gpt-4o-mini", "openai/mine", "anthropic/claude-3", "none"])
async def test_tokens_of_other_models_are_not_counted(model: str, ask: Ask, model_at: Make) -> None:
    assert await model_at(None, model).prompt_tokens(ask()) is None


async def test_fifty_at_once_keep_their_replies(ask: Ask, model_at: Make) -> None:
    def answer(asked: Asked) -> str:
        return f"re: {asked.messages[-1][1]}"

    with Simulator(answer, latency=Latency.constant(0.3)) as server:
        model = model_at(server.url)
        replies = await asyncio.gather(*(model.complete(ask(f"question {n}")) for n in range(50)))
    assert all(isinstance(reply, ChatReply) for reply in replies)
    assert [reply.text for reply in replies] == [f"re: question {n}" for n in range(50)]
    assert server.counters.most_in_flight > 25
    assert server.counters.requests == 50
