import asyncio
import time
from collections.abc import Callable, Mapping

import pytest

from jurist.chat import ChatRequest
from jurist.testing.simulator import Faults, Simulator
from jurist_anthropic import batches
from jurist_anthropic.model import AnthropicChatModel

Ask = Callable[..., ChatRequest]
Make = Callable[..., AnthropicChatModel]


def some(ask: Ask, count: int, name: str) -> Mapping[str, ChatRequest]:
    return {f"{name}-{number}": ask(f"question {number}") for number in range(count)}


async def test_a_batch_is_known_by_its_requests(ask: Ask, model_at: Make) -> None:
    with Simulator(batch_seconds=0) as server:
        model, since = model_at(server.anthropic_url), time.time()
        ours = await model.submit("jurist-1", some(ask, 2, "jurist-1"))
        await model.submit("jurist-2", some(ask, 2, "jurist-2"))
        await model.submit("jurist-3", some(ask, 3, "jurist-1"))
        assert await model.find("jurist-1", ["jurist-1-0", "jurist-1-1"], since) == ours
        assert await model.find("jurist-4", ["jurist-1-0", "jurist-1-9"], since) is None
        assert await model.find("jurist-1", ["jurist-1-0"], since) is None
        assert await model.find("jurist-1", ["jurist-1-0", "jurist-1-1"], since + 7200) is None


async def test_clocks_may_differ_by_minutes(ask: Ask, model_at: Make) -> None:
    with Simulator(batch_seconds=0) as server:
        model, since = model_at(server.anthropic_url), time.time() + 1200
        ours = await model.submit("jurist-1", some(ask, 1, "jurist-1"))
        assert await model.find("jurist-1", ["jurist-1-0"], since) == ours


async def test_every_batch_that_could_be_it_is_waited_for(ask: Ask, model_at: Make) -> None:
    with Simulator(hold_batches=True, batch_seconds=0) as server:
        model, since = model_at(server.anthropic_url), time.time()
        ours = await model.submit("jurist-1", some(ask, 2, "jurist-1"))
        await model.submit("jurist-2", some(ask, 2, "jurist-2"))
        looking = asyncio.create_task(model.find("jurist-1", ["jurist-1-0", "jurist-1-1"], since))
        await asyncio.sleep(0.5)
        assert not looking.done()
        server.release_batches()
        assert await looking == ours
        assert sum(server.counters.asked.values()) == 4


async def test_a_batch_that_is_listed_late_is_found(ask: Ask, model_at: Make) -> None:
    with Simulator(batch_seconds=0) as server:
        model, since = model_at(server.anthropic_url), time.time()
        model.pause = 2.0
        await model.complete(ask())  # the client is there
        looking = asyncio.create_task(model.find("jurist-1", ["jurist-1-0"], since))
        await asyncio.sleep(0.2)
        ours = await model.submit("jurist-1", some(ask, 1, "jurist-1"))
        assert await looking == ours


async def test_all_pages_are_looked_at(ask: Ask, model_at: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches, "_PAGE", 2)
    with Simulator(batch_seconds=0) as server:
        model, since = model_at(server.anthropic_url), time.time()
        first = await model.submit("jurist-0", some(ask, 1, "jurist-0"))
        for number in range(1, 6):
            await model.submit(f"jurist-{number}", some(ask, 1, f"jurist-{number}"))
        before = server.counters.requests
        assert await model.find("jurist-0", ["jurist-0-0"], since) == first
        pages_then = server.counters.requests - before
        before = server.counters.requests
        assert await model.find("jurist-0", ["jurist-0-0"], since + 7200) is None
        assert server.counters.requests - before == 1  # newest come first, so one page says it all
        assert pages_then >= 3


async def test_a_batch_whose_requests_all_expired_is_found(ask: Ask, model_at: Make) -> None:
    with Simulator(batch_seconds=0, faults=Faults(batch_expired=1)) as server:
        model, since = model_at(server.anthropic_url), time.time()
        ours = await model.submit("jurist-1", some(ask, 2, "jurist-1"))
        assert await model.find("jurist-1", ["jurist-1-1", "jurist-1-0"], since) == ours
