import logging
from collections.abc import Callable
from typing import Any

import pytest

from jurist.chat import ChatRequest
from jurist.records import Message
from jurist.testing.simulator import Simulator
from jurist_anthropic.listing import Listing
from jurist_anthropic.model import AnthropicChatModel
from jurist_anthropic.options import AnthropicOptions
from jurist_anthropic.requests import RequestWriter

Ask = Callable[..., ChatRequest]
Make = Callable[..., AnthropicChatModel]

MARK = {"cache_control": {"type": "ephemeral"}}
LONG = "word " * 1000
"""About 1,250 tokens: more than Claude Sonnet 4.6's 1,024 and fewer than Claude Haiku 4.5's 4,096."""


def body(request: ChatRequest, model: str = "claude-sonnet-4-6", **options: Any) -> dict[str, Any]:
    given = AnthropicOptions(model=model, **options)
    return RequestWriter(given, Listing.of(model)).body(request)


def test_the_parts_of_a_request(ask: Ask) -> None:
    assert body(ask("Hi", stop=("END",), max_tokens=9), extra={"service_tier": "auto"}) == {
        "model": "claude-sonnet-4-6",
        "max_tokens": 9,
        "system": [{"type": "text", "text": "Be kind."}],
        "messages": [{"role": "user", "content": "Hi"}],
        "stop_sequences": ["END"],
        "service_tier": "auto",
    }


def test_every_system_message_is_a_block(ask: Ask) -> None:
    turns = [("user", "a"), ("system", "one"), ("assistant", "b"), ("system", ""), ("system", "two")]
    request = ChatRequest(messages=tuple(Message(role=role, content=text) for role, text in turns))
    written = body(request)
    assert [block["text"] for block in written["system"]] == ["one", "two"]
    assert [turn["content"] for turn in written["messages"]] == ["a", "b"]
    assert "system" not in body(ChatRequest(messages=(Message(role="user", content="a"),)))


@pytest.mark.parametrize(
    ("temperature", "top_p", "said"),
    [
        (1.0, 1.0, {}),
        (0.0, 1.0, {"temperature": 0.0}),
        (0.0, 0.5, {"temperature": 0.0}),
        (1.0, 0.5, {"top_p": 0.5}),
        (0.7, 0.5, {"temperature": 0.7, "top_p": 0.5}),
    ],
)
def test_what_is_said_of_sampling(ask: Ask, temperature: float, top_p: float, said: Any) -> None:
    written = body(ask(temperature=temperature, top_p=top_p))
    assert {name: written[name] for name in ("temperature", "top_p") if name in written} == said


@pytest.mark.parametrize(
    ("model", "options", "sent"),
    [
        ("claude-haiku-4-5", {}, True),
        ("claude-opus-4-6", {}, True),
        ("claude-opus-4-7", {}, False),
        ("claude-sonnet-5", {}, False),
        ("not-known", {}, False),
        ("not-known", {"sampling": True}, True),
        ("claude-haiku-4-5", {"sampling": False}, False),
        ("claude-haiku-4-5", {"extra": {"thinking": {"type": "enabled", "budget_tokens": 1024}}}, False),
        ("claude-haiku-4-5", {"extra": {"thinking": {"type": "disabled"}}}, True),
    ],
)
def test_models_that_take_no_temperature_are_sent_none(
    ask: Ask, model: str, options: dict[str, Any], sent: bool
) -> None:
    assert ("temperature" in body(ask(temperature=0.2), model, **options)) is sent


def test_what_is_left_out_is_said_once(ask: Ask, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "jurist_anthropic"):
        for options in ({}, {"sampling": False}):
            writer = RequestWriter(
                AnthropicOptions(model="claude-opus-5", **options), Listing.of("claude-opus-5")
            )
            for temperature in (1.0, 0.2, 0.2):
                writer.body(ask(temperature=temperature, top_p=0.9))
    (said,) = caplog.messages
    assert "claude-opus-5 is asked without top_p" in said
    assert "sampling: true" in said


async def test_only_models_with_a_temperature_speak_the_older_version(ask: Ask, model_at: Make) -> None:
    versions = []
    with Simulator() as server:
        for model in ("claude-haiku-4-5", "claude-opus-5"):
            await model_at(server.anthropic_url, model=model, sampling=None).complete(ask())
            versions.append(server.counters.headers[-1]["anthropic-version"])
    assert versions[0] == "2023-06-01"  # the last that takes temperature and top_p
    assert versions[1] > versions[0]


def test_what_is_shared_is_marked(ask: Ask) -> None:
    written = body(ask(LONG + "and this is new", shared=len(LONG)))
    assert written["messages"][0]["content"] == [
        {"type": "text", "text": LONG, **MARK},
        {"type": "text", "text": "and this is new"},
    ]
    assert "cache_control" not in written["system"][0]  # too short to be kept by itself


def test_a_long_system_prompt_is_marked() -> None:
    turns = (Message(role="system", content=LONG), Message(role="user", content="same for all: not this"))
    written = body(ChatRequest(messages=turns, shared=13))
    assert written["system"] == [{"type": "text", "text": LONG, **MARK}]
    assert written["messages"][0]["content"] == [
        {"type": "text", "text": "same for all:", **MARK},
        {"type": "text", "text": " not this"},
    ]


@pytest.mark.parametrize(
    ("text", "shared", "model", "options"),
    [
        (LONG + "new", 0, "claude-sonnet-4-6", {}),
        (LONG + "new", len(LONG), "claude-sonnet-4-6", {"cache": False}),
        (LONG + "new", len(LONG), "claude-haiku-4-5", {}),
        (LONG + "new", 100, "claude-sonnet-4-6", {}),
        ("short, new", 6, "claude-sonnet-4-6", {}),
    ],
    ids=["nothing shared", "switched off", "too short for the model", "too little", "too short"],
)
def test_what_cannot_be_cached_is_sent_whole(
    ask: Ask, text: str, shared: int, model: str, options: dict[str, Any]
) -> None:
    written = body(ask(text, shared=shared), model, **options)
    assert written["messages"][0]["content"] == text


@pytest.mark.parametrize("rest", ["", " \n"])
def test_no_block_is_blank(ask: Ask, rest: str) -> None:
    written = body(ask(LONG + rest, shared=len(LONG)))
    assert written["messages"][0]["content"] == [{"type": "text", "text": LONG + rest, **MARK}]


async def test_reading_from_the_cache_is_cheaper(ask: Ask, model_at: Make) -> None:
    with Simulator(lambda asked: "yes") as server:
        model = model_at(server.anthropic_url, model="claude-sonnet-4-6")
        first, second = [await model.complete(ask(LONG + end, shared=len(LONG))) for end in ("x y", "z")]
    assert first.usage.prompt_tokens == 2 + 1000 + 2
    assert second.usage.prompt_tokens == 2 + 1000 + 1
    # The simulator caches the two words of the system prompt with the thousand that are shared.
    assert first.usage.usd == pytest.approx((1002 * 3.75 + 2 * 3 + 1 * 15) / 1e6)
    assert second.usage.usd == pytest.approx((1002 * 0.3 + 1 * 3 + 1 * 15) / 1e6)
