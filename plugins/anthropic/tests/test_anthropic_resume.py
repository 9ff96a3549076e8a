"""``kill -9`` around a batch, then the same again: every request is paid for once."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from jurist.testing.simulator import Faults, Simulator

LABELLING = """
import asyncio, json, os, signal, sys
from pathlib import Path

from jurist.engine.batches import Batching
from jurist.chat import ChatRequest, Sampling
from jurist.engine.engine import Engine
from jurist.engine.ledger import Ledger
from jurist.engine.limits import Limits
from jurist.engine.metered import metered
from jurist.records import Message
from jurist_anthropic.model import AnthropicChatModel, AnthropicOptions

address, ledger, moment = sys.argv[1:]


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


if moment == "before it is handed in":
    AnthropicChatModel.submit = die
if moment == "before its id is written down":
    Ledger.batch_taken = die
if moment == "before its results are stored":
    Ledger.end_batch = die
AnthropicChatModel.pause = 0.05


async def main():
    model = AnthropicChatModel(
        AnthropicOptions(model="claude-haiku-4-5", api_key="sk-secret", base_url=address)
    )
    engine = Engine(Ledger.open(Path(ledger)))
    judge = metered(
        model,
        engine=engine,
        label="judge",
        provided_by="jurist-anthropic 0.1 (jurist_anthropic.model:AnthropicChatModel)",
        limits=Limits(concurrency=100, timeout=None),
        batching=Batching(size=4, wait=0.1, poll=0.05),
    )
    questions = [Message(role="user", content=f"question {number}") for number in range(10)]
    asked = [ChatRequest(messages=(question,), sampling=Sampling(max_tokens=9)) for question in questions]
    replies = await asyncio.gather(*(judge.complete(request) for request in asked))
    await engine.release()
    await judge.close()
    print(json.dumps({"texts": [reply.text for reply in replies], "usd": engine.ledger.totals().usd}))


asyncio.run(main())
"""
TEXTS = [f"question {number}" for number in range(10)]
USD = 0.5 * 10 * (2 * 1 + 2 * 5) / 1e6


def start(server: Simulator, ledger: Path, moment: str = "never") -> "subprocess.Popen[str]":
    arguments = [sys.executable, "-W", "error", "-c", LABELLING, server.anthropic_url, str(ledger), moment]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def ended(process: "subprocess.Popen[str]") -> dict[str, Any]:
    told, complaints = process.communicate(timeout=60)
    assert process.returncode == 0, complaints
    found: dict[str, Any] = json.loads(told)
    return found


def handed_in(server: Simulator) -> Counter[int]:
    """How many batches of how many requests were handed in."""
    bodies = [body for body in server.counters.bodies if isinstance(body, dict)]
    return Counter(len(body["requests"]) for body in bodies if "requests" in body)


def batches_known(ledger: Path) -> int:
    """How many batches the ledger knows the provider's id of."""
    try:
        with closing(sqlite3.connect(f"file:{ledger}?mode=ro", uri=True)) as connection:
            (count,) = connection.execute("SELECT COUNT(batch) FROM batches").fetchone()
    except sqlite3.OperationalError:
        return 0  # the file or its table is not there yet
    return int(count)


@pytest.mark.parametrize(
    "moment",
    ["before it is handed in", "before its id is written down", "before its results are stored"],
)
def test_a_batch_survives_the_death_of_the_process(tmp_path: Path, moment: str) -> None:
    with Simulator(batch_seconds=0.3) as server:
        first = start(server, tmp_path / "ledger.sqlite", moment)
        first.communicate(timeout=60)
        assert first.returncode == -signal.SIGKILL
        told = ended(start(server, tmp_path / "ledger.sqlite"))
        again = ended(start(server, tmp_path / "ledger.sqlite"))
        assert told == again == {"texts": TEXTS, "usd": pytest.approx(USD)}
        assert list(server.counters.asked.values()) == [1] * 10
        assert sum(size * count for size, count in handed_in(server).items()) == 10


def test_what_is_under_way_is_waited_for(tmp_path: Path) -> None:
    ledger = tmp_path / "ledger.sqlite"
    with Simulator(hold_batches=True, batch_seconds=0) as server:
        first = start(server, ledger)
        deadline = time.monotonic() + 60
        while batches_known(ledger) < 3:
            assert first.poll() is None, first.communicate()
            assert time.monotonic() < deadline, "the batches were never handed in"
            time.sleep(0.01)
        os.kill(first.pid, signal.SIGKILL)
        first.communicate()
        assert not server.counters.asked
        server.release_batches()
        assert ended(start(server, ledger)) == {"texts": TEXTS, "usd": pytest.approx(USD)}
        assert list(server.counters.asked.values()) == [1] * 10
        assert handed_in(server) == {4: 2, 2: 1}


def test_what_expired_is_asked_again_and_nothing_else(tmp_path: Path) -> None:
    faults = Faults(batch_expired=0.2, batch_errored=0.2)
    with Simulator(batch_seconds=0, faults=faults, seed=1) as server:
        assert ended(start(server, tmp_path / "ledger.sqlite"))["texts"] == TEXTS
        assert server.counters.faults["batch_expired"] + server.counters.faults["batch_errored"] > 0
        assert list(server.counters.asked.values()) == [1] * 10
