import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from jurist.chat import ChatReply, ChatRequest, Sampling
from jurist.engine.batches import Batching
from jurist.engine.engine import Engine
from jurist.engine.ledger import Ledger
from jurist.engine.limits import Limits
from jurist.engine.metered import BatchedChatModel, metered
from jurist.errors import Interrupted, ProviderError
from jurist.records import Message
from jurist.testing.simulator import Asked, Faults, Simulator
from jurist_openai.model import OpenAIChatModel
from jurist_openai.options import OpenAIOptions

SOON = Batching(wait=0.05, poll=0.05)


def ask(number: int, *choices: str) -> ChatRequest:
    message = Message(role="user", content=f"question {number}")
    return ChatRequest(messages=(message,), sampling=Sampling(max_tokens=20), choices=choices)


def answer(asked: Asked) -> str:
    return f"re: {asked.messages[-1][1]}"


class Client:
    """A model in batches on a ledger of its own, as a run has it."""

    def __init__(self, ledger: Path, url: str, batching: Batching = SOON, **limits: Any) -> None:
        price = {"input": 2, "output": 10, "batch": 0.5}
        options = {"model": "mine", "base_url": url, "api_key": "sk-x", "price": price}
        self.inner = OpenAIChatModel(OpenAIOptions.model_validate(options))
        self.ledger = Ledger(ledger)
        self.engine = Engine(self.ledger)
        made = metered(
            self.inner,
            engine=self.engine,
            label="mine",
            provided_by="jurist-openai 0.1.0 (jurist_openai.model:OpenAIChatModel)",
            limits=Limits(concurrency=10_000, timeout=None, **limits),
            batching=batching,
        )
        assert isinstance(made, BatchedChatModel)
        self.model = made

    async def __aenter__(self) -> "Client":
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.engine.release()
        await self.inner.close()
        self.ledger.close()

    async def replies(self, numbers: range) -> list[ChatReply]:
        return await asyncio.gather(*(self.model.complete(ask(n)) for n in numbers))


async def test_calls_go_in_batches_at_half_the_price_and_come_back_in_order(tmp_path: Path) -> None:
    with Simulator(answer, batch_seconds=0.1) as server:
        async with Client(tmp_path / "ledger", server.url) as client:
            replies = await client.replies(range(40))
            again = await client.replies(range(40))
            totals = client.ledger.totals()
        assert [reply.text for reply in replies] == [f"re: question {n}" for n in range(40)]
        assert replies == again
        assert server.counters.batched == 40
        assert server.counters.answered == 0
    # Two words read and three written, at half of 2 and 10 dollars per million.
    assert replies[0].usage.usd == pytest.approx((2 * 2 + 3 * 10) / 2 / 1e6)
    assert totals.usd == pytest.approx(40 * (2 * 2 + 3 * 10) / 2 / 1e6)
    assert totals.seconds == 0


async def test_line_separators_inside_a_text_do_not_break_it(tmp_path: Path) -> None:
    text = "one\u2028two\u0085three\x0bfour"
    with Simulator(lambda asked: text, batch_seconds=0.05) as server:
        async with Client(tmp_path / "ledger", server.url) as client:
            assert {reply.text for reply in await client.replies(range(3))} == {text}


async def test_a_batch_holds_no_more_than_its_size(tmp_path: Path) -> None:
    with Simulator(answer, batch_seconds=0.1) as server:
        async with Client(tmp_path / "ledger", server.url, SOON.model_copy(update={"size": 16})) as client:
            await client.replies(range(40))
        batches = [body for body in server.counters.bodies if isinstance(body, dict) and "endpoint" in body]
    assert len(batches) == 3


async def test_choices_keep_their_log_probabilities(tmp_path: Path) -> None:
    question = "Which is better? Answer with the letter A or B alone."
    request = ChatRequest(messages=(Message(role="user", content=question),), choices=("A", "B"))
    with Simulator(lambda asked: "A", batch_seconds=0.1) as server:
        async with Client(tmp_path / "ledger", server.url) as client:
            reply = await client.model.complete(request)
    assert reply.choice_logprobs is not None
    assert reply.choice_logprobs[0] > reply.choice_logprobs[1]


async def test_what_expired_is_asked_again_and_what_was_answered_is_not(tmp_path: Path) -> None:
    with Simulator(answer, faults=Faults(batch_expired=0.4), seed=3, batch_seconds=0.05) as server:
        async with Client(tmp_path / "ledger", server.url, attempts=30) as client:
            client.engine._backoff = type(client.engine._backoff)(first=0.01)
            replies = await client.replies(range(60))
        assert [reply.text for reply in replies] == [f"re: question {n}" for n in range(60)]
        assert set(server.counters.asked.values()) == {1}
        assert server.counters.faults["batch_expired"] > 10


async def test_a_batch_under_way_is_left_at_the_provider_and_found_by_the_next_run(tmp_path: Path) -> None:
    with Simulator(answer, hold_batches=True) as server:
        async with Client(tmp_path / "ledger", server.url) as client:
            waiting = asyncio.create_task(client.replies(range(30)))
            while not _handed_in(server):
                await asyncio.sleep(0.02)
            await asyncio.sleep(0.2)
            client.engine.stop(Interrupted("interrupted"))
            with pytest.raises(Interrupted):
                await asyncio.wait_for(waiting, 5)
        server.release_batches()
        async with Client(tmp_path / "ledger", server.url) as client:
            replies = await client.replies(range(30))
        assert [reply.text for reply in replies] == [f"re: question {n}" for n in range(30)]
        assert sum(server.counters.asked.values()) == 30
        assert _handed_in(server) == 1


async def test_a_batch_that_was_taken_before_its_id_was_noted_is_found_by_its_name(tmp_path: Path) -> None:
    with Simulator(answer, hold_batches=True) as server:
        async with Client(tmp_path / "ledger", server.url) as client:
            submit = client.inner.submit

            async def dies(name: str, requests: Any) -> str:
                await submit(name, requests)
                return await asyncio.Event().wait()  # type: ignore[return-value]  # and never gets to say so

            client.inner.submit = dies  # type: ignore[method-assign]
            waiting = asyncio.create_task(client.replies(range(30)))
            while not _handed_in(server):
                await asyncio.sleep(0.02)
            client.engine.stop(Interrupted("interrupted"))
            with pytest.raises(Interrupted):
                await waiting
        server.release_batches()
        async with Client(tmp_path / "ledger", server.url) as client:
            assert len(await client.replies(range(30))) == 30
        assert sum(server.counters.asked.values()) == 30
        assert _handed_in(server) == 1


async def test_a_batch_that_was_never_taken_is_handed_in_anew(tmp_path: Path) -> None:
    with Simulator(answer, batch_seconds=0.05) as server:
        async with Client(tmp_path / "ledger", "http://127.0.0.1:9/v1") as client:
            waiting = asyncio.create_task(client.replies(range(5)))
            await asyncio.sleep(0.5)
            client.engine.stop(Interrupted("interrupted"))
            with pytest.raises(Interrupted):
                await waiting
        async with Client(tmp_path / "other", server.url) as client:
            assert len(await client.replies(range(5))) == 5
        assert sum(server.counters.asked.values()) == 5


async def test_a_faulty_request_fails_for_itself(tmp_path: Path) -> None:
    with Simulator(answer, faults=Faults(batch_errored=0.3), seed=1, batch_seconds=0.05) as server:
        async with Client(tmp_path / "ledger", server.url, attempts=1) as client:
            asked = (client.model.complete(ask(n)) for n in range(40))
            outcomes = await asyncio.gather(*asked, return_exceptions=True)
    failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert 4 <= len(failed) <= 24
    assert all(isinstance(error, ProviderError) for error in failed)
    assert len(failed) == server.counters.faults["batch_errored"]


KILLED = """
import asyncio, sys
from pathlib import Path
sys.path.insert(0, {folder!r})
from test_openai_batches import Client

async def main():
    async with Client(Path({ledger!r}), {url!r}) as client:
        await client.replies(range(200))

asyncio.run(main())
"""


@pytest.mark.parametrize("when", [0.0, 0.1, 0.3])
async def test_killed_between_submit_and_result_nothing_is_paid_twice(tmp_path: Path, when: float) -> None:
    ledger = tmp_path / "ledger"
    with Simulator(answer, hold_batches=True) as server:
        code = KILLED.format(folder=str(Path(__file__).parent), ledger=str(ledger), url=server.url)
        child = subprocess.Popen([sys.executable, "-c", code], env=dict(os.environ))
        while not _handed_in(server):
            assert child.poll() is None
            await asyncio.sleep(0.005)
        await asyncio.sleep(when)
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
        server.release_batches()
        async with Client(ledger, server.url) as client:
            replies = await client.replies(range(200))
        assert [reply.text for reply in replies] == [f"re: question {n}" for n in range(200)]
        assert len(server.counters.asked) == 200
        assert set(server.counters.asked.values()) == {1}


def _handed_in(server: Simulator) -> int:
    """How many batches were made."""
    return sum(isinstance(body, dict) and "input_file_id" in body for body in list(server.counters.bodies))


def test_the_ledger_forgets_what_a_batch_held_once_it_has_ended(tmp_path: Path) -> None:
    from jurist.engine.ledger import BatchEntry

    keys = {"jurist-1-0": "k0", "jurist-1-1": "k1"}
    entry = BatchEntry(name="jurist-1", owner="me", begun=1.0, keys=keys, choices={"jurist-1-1": ("A", "B")})
    with Ledger(tmp_path / "ledger") as ledger:
        ledger.begin_batch(entry)
        assert ledger.open_batches("me") == [entry]
        assert ledger.open_batches("you") == []
        reply = ChatReply(text="x")
        ledger.end_batch("jurist-1", "mine", {"k0": (reply.model_dump_json(), reply.usage)})
        assert ledger.open_batches("me") == []
        assert json.loads(ledger.get("k0") or "")["text"] == "x"
        assert ledger.get("k1") is None
