"""The provider simulator: what is sent over the wire, by its share, and what is counted."""

from __future__ import annotations

import asyncio
import errno
import gc
import json
import math
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from email.utils import parsedate_to_datetime
from random import Random
from typing import Any

import aiohttp
import pytest

from jurist.parsing import parse_findings, parse_score, parse_verdict
from jurist.templates import fill
from jurist.templates.chinese import CHINESE
from jurist.templates.english import ENGLISH
from jurist.testing.simulator import Asked, Faults, Latency, Simulator, SimulatorProcess, judge_by_marker
from jurist.testing.simulator.answers import GARBAGE
from jurist.testing.simulator.arguments import read_settings, settings_parser, write_settings
from jurist.testing.simulator.gate import Bucket
from jurist.testing.simulator.settings import Settings

HEADERS = {"Authorization": "Bearer any", "x-api-key": "any", "anthropic-version": "2023-06-01"}
Body = dict[str, Any]


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(headers=HEADERS, connector=connector) as session:
        yield session


def chat(text: str, **more: Any) -> Body:
    return {"model": "gpt", "messages": [{"role": "user", "content": text}], **more}


def message(text: str, **more: Any) -> Body:
    return chat(text, **{"model": "claude", "max_tokens": 100, **more})


async def sent(http: aiohttp.ClientSession, url: str, body: Any) -> tuple[int, Any]:
    async with http.post(url, json=body) as response:
        return response.status, await response.json()


async def got(http: aiohttp.ClientSession, url: str) -> tuple[int, Any]:
    async with http.get(url) as response:
        return response.status, await response.json()


async def lines(http: aiohttp.ClientSession, url: str) -> dict[str, Any]:
    async with http.get(url) as response:
        assert response.status == 200
        told = [json.loads(line) for line in (await response.text()).splitlines()]
    named = {line["custom_id"]: line for line in told}
    assert len(named) == len(told)
    return named


async def until(look: Callable[[], Awaitable[tuple[int, Any]]], name: str, wanted: str) -> Any:
    """Look until ``name`` is what is wanted."""
    for _ in range(400):
        _, told = await look()
        if told[name] == wanted:
            return told
        await asyncio.sleep(0.01)
    raise AssertionError(f"{name} is {told[name]}, not {wanted}")


def said(answer: Body) -> tuple[str, str]:
    choice = answer["choices"][0]
    return choice["message"]["content"], choice["finish_reason"]


# What it says


@pytest.mark.parametrize("words", [ENGLISH, CHINESE])
@pytest.mark.parametrize(
    ("first", "second", "verdict"),
    [("yes (good)", "no", "A"), ("no", "yes (good)", "B"), ("no", "no", "tie"), ("(good)", "(good)", "tie")],
)
async def test_the_marked_response_wins_wherever_it_is_shown(
    http: aiohttp.ClientSession, words: Any, first: str, second: str, verdict: str
) -> None:
    values = {"conversation": "(good)", "principles": "Be (good).", "response_a": first, "response_b": second}
    odds = {"A": (0.9, 0.1), "B": (0.1, 0.9), "tie": (0.5, 0.5)}[verdict]
    with Simulator() as server:
        _, plain = await sent(http, f"{server.url}/chat/completions", chat(fill(words.judge_verdict, values)))
        body = message(fill(words.judge_reasoning, values))
        _, reasoned = await sent(http, f"{server.anthropic_url}/v1/messages", body)
        letters = chat(fill(words.judge_choices, values), logprobs=True, top_logprobs=5)
        _, choice = await sent(http, f"{server.url}/chat/completions", letters)
        later = {"role": "user", "content": words.judge_final}
        letters["messages"] += [{"role": "assistant", "content": "Because."}, later]
        _, final = await sent(http, f"{server.url}/chat/completions", letters)
    assert said(plain) == (f"Verdict: {verdict}", "stop")
    assert reasoned["content"] == [{"type": "text", "text": f"Verdict: {verdict}"}]
    for answer in (choice, final):
        (token,) = answer["choices"][0]["logprobs"]["content"]
        listed = {each["token"]: math.exp(each["logprob"]) for each in token["top_logprobs"]}
        assert listed == {"A": pytest.approx(odds[0]), "B": pytest.approx(odds[1])}
        assert token["token"] == said(answer)[0] == ("B" if verdict == "B" else "A")
        assert token["logprob"] == max(each["logprob"] for each in token["top_logprobs"])


async def test_other_prompts_are_echoed_and_cut(http: aiohttp.ClientSession) -> None:
    with Simulator() as server:
        completions, messages = f"{server.url}/chat/completions", f"{server.anthropic_url}/v1/messages"
        _, whole = await sent(http, completions, chat("one two  three four"))
        _, short = await sent(http, completions, chat("one two three four", max_completion_tokens=2))
        _, stopped = await sent(http, completions, chat("one two three four", stop=["four", " three"]))
        blocks = [{"type": "text", "text": "one two"}, {"type": "text", "text": "three"}]
        _, flat = await sent(http, messages, message("", messages=[{"role": "user", "content": blocks}]))
        _, cut = await sent(http, messages, message("one two three", max_tokens=2))
        _, ended = await sent(http, messages, message("one two three", stop_sequences=["three"]))
    assert said(whole) == ("one two three four", "stop")
    assert whole["usage"]["prompt_tokens"] == whole["usage"]["completion_tokens"] == 4
    assert whole["model"] == "gpt-2026-01-15"
    assert whole["system_fingerprint"] == "fp_simulator"
    assert said(short) == ("one two", "length")
    assert short["usage"]["completion_tokens"] == 2
    assert said(stopped) == ("one two", "stop")
    assert (flat["content"][0]["text"], flat["stop_reason"]) == ("one two three", "end_turn")
    assert (cut["content"][0]["text"], cut["stop_reason"]) == ("one two", "max_tokens")
    assert cut["usage"]["input_tokens"] == 3
    assert cut["usage"]["output_tokens"] == 2
    assert (ended["stop_reason"], ended["stop_sequence"]) == ("stop_sequence", "three")
    assert ended["model"] == "claude-20260115"


async def test_an_answer_function_sees_everything_and_its_failure_is_told(
    http: aiohttp.ClientSession,
) -> None:
    seen: list[Asked] = []

    def answer(asked: Asked) -> str:
        seen.append(asked)
        if asked.model == "broken":
            raise LookupError("no line for this")
        return "B"

    with Simulator(answer, served_model="gpt-5") as server:
        body = message("Hi", system="Be brief.", seed=7)
        _, answered = await sent(http, f"{server.anthropic_url}/v1/messages", body)
        failed = await sent(http, f"{server.url}/chat/completions", chat("Hi", model="broken"))
        letters = chat("A or B?\n" + ENGLISH.judge_final, logprobs=True, top_logprobs=2)
        _, letter = await sent(http, f"{server.url}/chat/completions", letters)
    assert seen[0] == Asked("anthropic", "claude", (("system", "Be brief."), ("user", "Hi")), 100, body)
    assert answered["model"] == "gpt-5"
    assert failed[0] == 500
    assert "LookupError('no line for this')" in failed[1]["error"]["message"]
    assert [each["token"] for each in letter["choices"][0]["logprobs"]["content"][0]["top_logprobs"]] == [
        "B",
        "A",
    ]
    assert server.counters.faults == {"answer": 1}
    assert server.counters.asked == {seen[0].digest: 1, seen[2].digest: 1}


async def test_prompt_caches_count_as_each_provider_does(http: aiohttp.ClientSession) -> None:
    marked = {"type": "text", "text": "four words of rules", "cache_control": {"type": "ephemeral"}}
    long = " ".join(f"word{number}" for number in range(1300))
    with Simulator() as server:
        url = f"{server.anthropic_url}/v1/messages"
        counted = []
        for text in ("one", "two words"):
            _, told = await sent(http, url, message(text, system=[marked]))
            usage = told["usage"]
            names = ("cache_creation_input_tokens", "cache_read_input_tokens", "input_tokens")
            counted.append(tuple(usage[name] for name in names))
        cached = []
        for text in (f"{long} one", f"{long} two", f"other {long}", "short"):
            _, told = await sent(http, f"{server.url}/chat/completions", chat(text))
            cached.append(told["usage"]["prompt_tokens_details"]["cached_tokens"])
    assert counted == [(4, 0, 1), (0, 4, 2)]
    assert cached == [0, 1280, 0, 0]


# What goes wrong


async def fate(http: aiohttp.ClientSession, url: str, body: Body) -> str:
    """What became of a request, judged by nothing but what came over the wire."""
    try:
        async with http.post(url, json=body) as response:
            try:
                text = await response.text()
            except aiohttp.ClientPayloadError:
                assert response.status == 200
                return "truncated chunks" if "Transfer-Encoding" in response.headers else "truncated length"
    except aiohttp.ServerDisconnectedError:
        return "stall"
    except aiohttp.ClientOSError as error:
        return "reset" if error.errno == errno.ECONNRESET else repr(error)
    if response.status != 200:
        kinds = {429: "rate_limited", 500: "server_error", 529: "overloaded"}
        assert json.loads(text)["error"]["message"]
        return kinds[response.status]
    if response.content_type == "text/html":
        return "not_json"
    choice = json.loads(text)["choices"][0]
    if choice["finish_reason"] == "content_filter" or choice["message"]["refusal"]:
        return f"refusal {choice['finish_reason']}"
    return "garbage" if choice["message"]["content"] == GARBAGE else "fine"


FAULTS = Faults(
    rate_limited=0.1,
    server_error=0.1,
    overloaded=0.1,
    reset=0.1,
    stall=0.1,
    truncated=0.1,
    not_json=0.1,
    garbage=0.1,
    refusal=0.1,
    stall_seconds=0.02,
)


async def test_every_fault_strikes_at_its_share_and_is_what_it_is_called(http: aiohttp.ClientSession) -> None:
    free = asyncio.Semaphore(100)

    async def one(number: int) -> str:
        async with free:
            return await fate(http, f"{server.url}/chat/completions", chat(f"question {number}"))

    with Simulator(faults=FAULTS, seed=3) as server:
        fates = Counter(await asyncio.gather(*map(one, range(2000))))
    for kind, halves in (("truncated", ("length", "chunks")), ("refusal", ("stop", "content_filter"))):
        first, second = (fates.pop(f"{kind} {half}") for half in halves)
        assert abs(first - second) <= 1
        fates[kind] = first + second
    fine = fates.pop("fine")
    assert fates == server.counters.faults
    # Four standard deviations of a share of a tenth.
    assert all(abs(count - 200) < 54 for count in (*fates.values(), fine)), fates
    assert len(fates) == 9
    assert server.counters.requests == 2000
    assert server.counters.answered == fine + fates["garbage"] + fates["refusal"]
    assert server.counters.asked.total() == server.counters.answered + fates["truncated"]
    assert set(server.counters.asked.values()) == {1}
    assert server.counters.in_flight == 0
    assert server.counters.most_in_flight <= 100


async def test_faults_come_in_the_order_of_their_seed(http: aiohttp.ClientSession) -> None:
    told = []
    for seed, latency in ((1, Latency.constant(0)), (1, Latency.uniform(0, 0.001)), (2, Latency.constant(0))):
        with Simulator(faults=FAULTS, seed=seed, latency=latency) as server:
            url = f"{server.url}/chat/completions"
            told.append([await fate(http, url, chat("same")) for _ in range(40)])
    assert told[0] == told[1] != told[2]
    assert len(set(told[0])) > 5


def test_garbage_is_read_by_no_parser() -> None:
    assert parse_verdict(GARBAGE) is None
    assert parse_score(GARBAGE, 1, 10) is None
    assert parse_findings(GARBAGE, ["honesty"]) is None


async def test_the_faults_of_anthropic_have_its_shape(http: aiohttp.ClientSession) -> None:
    expected = {
        "rate_limited": (429, "rate_limit_error"),
        "server_error": (500, "api_error"),
        "overloaded": (529, "overloaded_error"),
    }
    for name, (status, kind) in expected.items():
        with Simulator(faults=Faults(**{name: 1.0})) as server:
            told = await sent(http, f"{server.anthropic_url}/v1/messages", message("Hi"))
        assert (told[0], told[1]["type"], told[1]["error"]["type"]) == (status, "error", kind)
    with Simulator(faults=Faults(refusal=1)) as server:
        _, refused = await sent(http, f"{server.anthropic_url}/v1/messages", message("Hi"))
    assert refused["stop_reason"] == "refusal"


async def test_429_says_how_long_to_wait_as_it_was_told_to(http: aiohttp.ClientSession) -> None:
    async def answer(faults: Faults, path: str = "/chat/completions") -> tuple[int, str | None, Body]:
        with Simulator(faults=faults, latency=Latency.constant(5)) as server:
            start = time.monotonic()
            body = chat("Hi", max_tokens=1)
            async with http.post(f"{server.url}{path}", json=body) as response:
                assert time.monotonic() - start < 2, "it took as long as an answer"
                return response.status, response.headers.get("Retry-After"), (await response.json())["error"]

    status, header, error = await answer(Faults(rate_limited=1, retry_after=2.5))
    assert (status, header, error["code"]) == (429, "2.5", "rate_limit_exceeded")
    _, header, _ = await answer(Faults(rate_limited=1, retry_after=30, retry_after_date=True))
    assert header is not None
    assert header.endswith("GMT")
    assert 28 < parsedate_to_datetime(header).timestamp() - time.time() <= 31
    assert (await answer(Faults(rate_limited=1, retry_after=None)))[1] is None
    unpaid = Faults(rate_limited=1, insufficient_quota=True)
    status, header, error = await answer(unpaid)
    assert (status, header, error["code"]) == (429, None, "insufficient_quota")
    status, header, error = await answer(unpaid, "/messages")
    assert (status, header, error["type"]) == (402, None, "billing_error")


def test_impossible_faults_are_all_named() -> None:
    with pytest.raises(ValueError, match=r"reset=1.5, batch_expired=-1"):
        Faults(reset=1.5, batch_expired=-1)
    with pytest.raises(ValueError, match=r"add up to 1.2, more than 1"):
        Faults(reset=0.6, garbage=0.6)


def test_latencies_have_the_median_they_are_given() -> None:
    random = Random(0)
    for latency, deviation in (
        (Latency.constant(0.2), 0.0),
        (Latency.uniform(0.1, 0.3), 0.01),
        (Latency.lognormal(0.2, 0.8), 0.01),
    ):
        drawn = [latency.draw(random) for _ in range(5000)]
        assert statistics.median(drawn) == pytest.approx(0.2, abs=deviation)
    assert statistics.stdev(map(math.log, drawn)) == pytest.approx(0.8, abs=0.03)
    with pytest.raises(ValueError, match="cannot be negative"):
        Latency.constant(-1)


# What it lets in, and what it counts


async def test_answers_take_as_long_as_they_are_told_to(http: aiohttp.ClientSession) -> None:
    with Simulator(latency=Latency.constant(0.2)) as server:
        start = time.monotonic()
        calls = (sent(http, f"{server.url}/chat/completions", chat("Hi", seed=seed)) for seed in range(50))
        await asyncio.gather(*calls)
        assert 0.2 <= time.monotonic() - start < 1.5
    assert server.counters.most_in_flight == 50
    assert server.stats() | {"asked": None} == {
        **{"requests": 50, "answered": 50, "batched": 0, "abandoned": 0, "in_flight": 0},
        **{"most_in_flight": 50, "faults": {}, "asked": None},
    }


async def test_more_requests_per_minute_than_agreed_wait(http: aiohttp.ClientSession) -> None:
    with Simulator(requests_per_minute=2) as server:
        answers = []
        for _ in range(3):
            async with http.post(f"{server.url}/chat/completions", json=chat("Hi")) as response:
                answers.append((response.status, response.headers.get("Retry-After")))
        milliseconds = int(response.headers["retry-after-ms"])
    assert answers == [(200, None), (200, None), (429, "30")]
    assert 28_000 < milliseconds <= 30_000
    assert server.counters.faults == {"requests_per_minute": 1}


def test_the_wait_that_is_promised_is_enough_and_no_more() -> None:
    now = 100.0
    bucket = Bucket(60, lambda: now)
    assert [bucket.take() for _ in range(60)] == [0] * 60
    assert bucket.take() == pytest.approx(1)
    now += 0.9
    assert bucket.take() == pytest.approx(0.1)
    now += bucket.take()
    assert bucket.take() == 0
    assert bucket.take() == pytest.approx(1)
    now += 1000
    assert [bucket.take() > 0 for _ in range(61)] == [False] * 60 + [True]


async def test_more_at_once_than_the_capacity_are_turned_away(http: aiohttp.ClientSession) -> None:
    with Simulator(capacity=3, latency=Latency.constant(0.3)) as server:
        calls = (sent(http, f"{server.url}/chat/completions", chat("Hi")) for _ in range(10))
        statuses = Counter(status for status, _ in await asyncio.gather(*calls))
    assert statuses == {200: 3, 429: 7}
    assert server.counters.most_in_flight == 3
    assert server.counters.faults == {"capacity": 7}


async def test_a_key_is_needed_and_the_right_one() -> None:
    with Simulator(keys={"right"}) as server:
        async with aiohttp.ClientSession() as http:
            told = [
                await sent(http, f"{server.url}/chat/completions", chat("Hi")),
                await sent(http, f"{server.url}/messages", message("Hi")),
                await got(http, f"{server.url}/batches"),
            ]
            for key, status in (("wrong", 401), ("right", 200)):
                for path, headers in (
                    ("chat/completions", {"Authorization": f"Bearer {key}"}),
                    ("messages", {"x-api-key": key}),
                ):
                    body = message("Hi")
                    async with http.post(f"{server.url}/{path}", json=body, headers=headers) as response:
                        assert response.status == status
    assert [status for status, _ in told] == [401] * 3
    assert set(told[0][1]["error"]) == {"message", "type", "code", "param"}
    assert told[1][1] == {
        "type": "error",
        "error": {"type": "authentication_error", "message": "You didn't provide an API key."},
    }
    assert server.counters.requests == 7
    assert server.counters.answered == 2


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"model": "m"}, "messages"),
        ({"messages": [{"role": "user", "content": "Hi"}]}, "model"),
        (chat("Hi", stream=True), "stream"),
        (chat("Hi", n=2), "one choice"),
        (chat("Hi", stop=[1]), "stop"),
        (chat("Hi", top_logprobs=5), "top_logprobs"),
        ({"model": "m", "messages": [{"role": "robot", "content": "Hi"}]}, "messages.0.role"),
        (
            {"model": "m", "messages": [{"role": "user", "content": [{"type": "image_url"}]}]},
            "blocks of text",
        ),
        ([], "JSON object"),
    ],
)
async def test_what_no_provider_would_take_is_turned_away(
    http: aiohttp.ClientSession, body: Any, said: str
) -> None:
    with Simulator() as server:
        status, told = await sent(http, f"{server.url}/chat/completions", body)
    assert status == 400
    assert said in told["error"]["message"]
    assert told["error"]["type"] == "invalid_request_error"
    assert not server.counters.asked


async def test_an_answer_that_nobody_waits_for_is_billed_and_counted(http: aiohttp.ClientSession) -> None:
    with Simulator(latency=Latency.constant(0.2)) as server:
        patience = aiohttp.ClientTimeout(total=0.05)
        with pytest.raises(TimeoutError):
            await http.post(f"{server.url}/chat/completions", json=chat("Hi"), timeout=patience)
        await asyncio.sleep(0.4)
    assert server.counters.abandoned == 1
    assert server.counters.answered == 0
    assert list(server.counters.asked.values()) == [1]


async def test_the_last_requests_are_kept(http: aiohttp.ClientSession) -> None:
    with Simulator(keep_last=2) as server:
        for text in ("one", "two", "three"):
            await sent(http, f"{server.url}/chat/completions", chat(text))
    assert list(server.counters.bodies) == [chat("two"), chat("three")]
    assert [headers["Authorization"] for headers in server.counters.headers] == ["Bearer any"] * 2


async def test_unknown_addresses_are_told_in_the_shape_of_their_provider(http: aiohttp.ClientSession) -> None:
    with Simulator() as server:
        models = await got(http, f"{server.url}/models")
        unknown = await got(http, f"{server.url}/embeddings")
        missing = await got(http, f"{server.url}/messages/batches/msgbatch_1")
    assert [each["object"] for each in models[1]["data"]] == ["model", "model"]
    assert (unknown[0], unknown[1]["error"]["type"]) == (404, "invalid_request_error")
    assert (missing[0], missing[1]["error"]["type"]) == (404, "not_found_error")


# Batches


def rows(count: int, model: str = "gpt") -> list[Body]:
    return [
        {
            "custom_id": f"row-{number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": chat(f"question {number}", model=model),
        }
        for number in range(count)
    ]


async def upload(http: aiohttp.ClientSession, url: str, content: bytes) -> str:
    form = aiohttp.FormData({"purpose": "batch"})
    form.add_field("file", content, filename="input.jsonl")
    async with http.post(f"{url}/files", data=form) as response:
        told = await response.json()
    assert told["bytes"] == len(content)
    return str(told["id"])


async def submit(http: aiohttp.ClientSession, url: str, told: list[Body], **more: Any) -> Body:
    content = b"".join(json.dumps(row).encode() + b"\n" for row in told)
    body = {"input_file_id": await upload(http, url, content), "endpoint": "/v1/chat/completions", **more}
    status, batch = await sent(http, f"{url}/batches", {"completion_window": "24h", **body})
    assert (status, batch["status"]) == (200, "validating")
    return dict(batch)


async def test_a_batch_of_openai_ends_with_its_answers(http: aiohttp.ClientSession) -> None:
    with Simulator(batch_seconds=0.2) as server:
        start = time.monotonic()
        made = await submit(http, server.url, rows(30), metadata={"run": "seven"})
        path = f"{server.url}/batches/{made['id']}"
        batch = await until(lambda: got(http, path), "status", "completed")
        assert 0.2 <= time.monotonic() - start < 2
        output = f"{server.url}/files/{batch['output_file_id']}"
        answered = await lines(http, f"{output}/content")
        shown = await got(http, output)
        async with http.delete(output) as response:
            deleted = await response.json()
        gone = await got(http, output)
        _, online = await sent(http, f"{server.url}/chat/completions", chat("question 5"))
    assert batch["request_counts"] == {"total": 30, "completed": 30, "failed": 0}
    assert (batch["error_file_id"], batch["metadata"]) == (None, {"run": "seven"})
    assert set(answered) == {row["custom_id"] for row in rows(30)}
    assert list(answered) != [row["custom_id"] for row in rows(30)], "nobody promises an order"
    row = answered["row-5"]
    assert (row["response"]["status_code"], row["error"]) == (200, None)
    assert said(row["response"]["body"]) == said(online) == ("question 5", "stop")
    assert shown[1]["purpose"] == "batch_output"
    assert (deleted["deleted"], gone[0]) == (True, 404)
    assert server.counters.batched == 30
    assert sorted(server.counters.asked.values()) == [1] * 29 + [2]


async def test_faults_of_a_batch_are_in_the_error_file(http: aiohttp.ClientSession) -> None:
    faults = Faults(batch_expired=0.25, batch_errored=0.25, garbage=0.25)
    with Simulator(batch_seconds=0, faults=faults, seed=1) as server:
        made = await submit(http, server.url, rows(400))
        batch = await until(lambda: got(http, f"{server.url}/batches/{made['id']}"), "status", "expired")
        output = await lines(http, f"{server.url}/files/{batch['output_file_id']}/content")
        failed = await lines(http, f"{server.url}/files/{batch['error_file_id']}/content")
    kinds = Counter(line["error"]["code"] if line["error"] else "errored" for line in failed.values())
    texts = Counter(said(line["response"]["body"])[0] == GARBAGE for line in output.values())
    faulty = server.counters.faults
    assert kinds == {"batch_expired": faulty["batch_expired"], "errored": faulty["batch_errored"]}
    assert texts[True] == faulty["garbage"]
    assert all(abs(count - 100) < 35 for count in (*kinds.values(), *texts.values()))
    assert len(output) + len(failed) == 400
    errored = next(line for line in failed.values() if line["response"])
    assert errored["response"]["status_code"] == 500
    assert errored["response"]["body"]["error"]["type"] == "server_error"
    counts = {"total": 400, "completed": len(output), "failed": faulty["batch_errored"]}
    assert batch["request_counts"] == counts
    assert server.counters.asked.total() == len(output)


async def test_a_held_batch_waits_is_listed_and_can_be_cancelled(http: aiohttp.ClientSession) -> None:
    with Simulator(batch_seconds=0, hold_batches=True) as server:
        ids = [(await submit(http, server.url, rows(2)))["id"] for _ in range(5)]
        url = f"{server.url}/batches"
        await asyncio.sleep(0.1)
        assert (await got(http, f"{url}/{ids[0]}"))[1]["request_counts"]["completed"] == 0
        pages, after = [], ""
        while True:
            _, page = await got(http, f"{url}?limit=2{after}")
            pages.append([batch["id"] for batch in page["data"]])
            if not page["has_more"]:
                break
            after = f"&after={page['last_id']}"
        status, cancelling = await sent(http, f"{url}/{ids[0]}/cancel", {})
        cancelled = await until(lambda: got(http, f"{url}/{ids[0]}"), "status", "cancelled")
        undone = await lines(http, f"{server.url}/files/{cancelled['error_file_id']}/content")
        server.release_batches()
        await until(lambda: got(http, f"{url}/{ids[4]}"), "status", "completed")
        again = await sent(http, f"{url}/{ids[4]}/cancel", {})
    assert pages == [[ids[4], ids[3]], [ids[2], ids[1]], [ids[0]]]
    assert (status, cancelling["status"]) == (200, "cancelling")
    assert {line["error"]["code"] for line in undone.values()} == {"batch_cancelled"}
    assert cancelled["output_file_id"] is None
    assert again[0] == 409
    assert server.counters.asked.total() == 2 * 4


async def test_a_batch_that_is_cancelled_half_way_keeps_what_was_done(http: aiohttp.ClientSession) -> None:
    with Simulator(batch_seconds=1.0) as server:
        made = await submit(http, server.url, rows(100))
        await asyncio.sleep(0.4)
        await sent(http, f"{server.url}/batches/{made['id']}/cancel", {})
        batch = await until(lambda: got(http, f"{server.url}/batches/{made['id']}"), "status", "cancelled")
        done = await lines(http, f"{server.url}/files/{batch['output_file_id']}/content")
        undone = await lines(http, f"{server.url}/files/{batch['error_file_id']}/content")
    assert 20 <= len(done) <= 80
    assert set(done) | set(undone) == {row["custom_id"] for row in rows(100)}
    assert server.counters.asked.total() == len(done) == batch["request_counts"]["completed"]


async def test_a_faulty_input_file_fails_its_batch(http: aiohttp.ClientSession) -> None:
    first, second, third = rows(3)
    wrong = [first, {**second, "url": "/v1/embeddings"}, first, {**third, "body": chat("Hi", model="other")}]
    with Simulator(batch_seconds=0) as server:
        made = await submit(http, server.url, wrong)
        batch = await until(lambda: got(http, f"{server.url}/batches/{made['id']}"), "status", "failed")
        body = {"input_file_id": await upload(http, server.url, b"not json\n"), "completion_window": "24h"}
        _, garbled = await sent(http, f"{server.url}/batches", {**body, "endpoint": "/v1/chat/completions"})
        garbled = await until(lambda: got(http, f"{server.url}/batches/{garbled['id']}"), "status", "failed")
        status, told = await sent(http, f"{server.url}/batches", body)
    assert [(each["code"], each["line"]) for each in batch["errors"]["data"]] == [
        *(("invalid_url", 2), ("duplicate_custom_id", 3), ("mismatched_model", 4)),
    ]
    assert [each["code"] for each in garbled["errors"]["data"]] == ["invalid_json_line"]
    assert (status, told["error"]["param"]) == (400, "endpoint")
    assert not server.counters.asked


def requests(count: int) -> list[Body]:
    return [
        {"custom_id": f"row-{number}", "params": message(f"question {number}")} for number in range(count)
    ]


async def test_a_batch_of_anthropic_ends_with_every_kind_of_result(http: aiohttp.ClientSession) -> None:
    faults = Faults(batch_expired=0.25, batch_errored=0.25, refusal=0.25)
    with Simulator(batch_seconds=0.1, faults=faults, seed=1) as server:
        url = f"{server.url}/messages/batches"
        broken = {"custom_id": "broken", "params": {"model": "claude"}}
        _, made = await sent(http, url, {"requests": [*requests(400), broken]})
        early = await got(http, f"{url}/{made['id']}/results")
        batch = await until(lambda: got(http, f"{url}/{made['id']}"), "processing_status", "ended")
        results = await lines(http, batch["results_url"])
    assert (made["processing_status"], made["results_url"]) == ("in_progress", None)
    assert made["request_counts"]["processing"] == 401
    assert (early[0], early[1]["error"]["type"]) == (400, "invalid_request_error")
    kinds = Counter(result["result"]["type"] for result in results.values())
    counts = {"processing": 0, "canceled": 0, **kinds}
    assert batch["request_counts"] == counts
    refused = [
        result
        for result in results.values()
        if result["result"]["type"] == "succeeded" and result["result"]["message"]["stop_reason"] == "refusal"
    ]
    faulty = server.counters.faults
    assert kinds["expired"] == faulty["batch_expired"]
    assert len(refused) == faulty["refusal"]
    assert all(abs(count - 100) < 35 for count in (kinds["expired"], kinds["errored"], len(refused)))
    errors = {
        result["result"]["error"]["error"]["type"]
        for result in results.values()
        if "error" in result["result"]
    }
    assert errors <= {"api_error", "invalid_request_error"}
    assert results["broken"]["result"]["type"] in {"errored", "expired"}
    fine = next(
        name
        for name in results
        if name not in {"broken"}
        and results[name] not in refused
        and results[name]["result"]["type"] == "succeeded"
    )
    assert results[fine]["result"]["message"]["content"][0]["text"] == f"question {fine[4:]}"
    assert server.counters.asked.total() == kinds["succeeded"] == server.counters.batched


async def test_batches_of_anthropic_are_listed_both_ways_and_cancelled(http: aiohttp.ClientSession) -> None:
    with Simulator(batch_seconds=0, hold_batches=True) as server:
        url = f"{server.url}/messages/batches"
        ids = [(await sent(http, url, {"requests": requests(2)}))[1]["id"] for _ in range(5)]
        _, newest = await got(http, f"{url}?limit=2")
        _, older = await got(http, f"{url}?limit=2&after_id={ids[3]}")
        _, newer = await got(http, f"{url}?limit=2&before_id={ids[0]}")
        _, canceling = await sent(http, f"{url}/{ids[0]}/cancel", {})
        canceled = await until(lambda: got(http, f"{url}/{ids[0]}"), "processing_status", "ended")
        results = await lines(http, canceled["results_url"])
        twice = await sent(http, url, {"requests": requests(1) * 2})
    pages = [[batch["id"] for batch in page["data"]] for page in (newest, older, newer)]
    assert pages == [[ids[4], ids[3]], [ids[2], ids[1]], [ids[2], ids[1]]]
    assert (newest["has_more"], newest["first_id"], newest["last_id"]) == (True, ids[4], ids[3])
    assert canceling["processing_status"] == "canceling"
    assert canceling["cancel_initiated_at"].endswith("Z")
    assert {result["result"]["type"] for result in results.values()} == {"canceled"}
    assert canceled["request_counts"]["canceled"] == 2
    assert twice[0] == 400
    assert not server.counters.asked


async def test_calls_about_batches_go_wrong_too(http: aiohttp.ClientSession) -> None:
    with Simulator(faults=Faults(server_error=0.5), seed=2) as server:
        statuses = Counter([(await got(http, f"{server.url}/batches"))[0] for _ in range(100)])
    assert statuses == {500: server.counters.faults["server_error"], 200: 100 - statuses[500]}
    assert 30 < statuses[500] < 70


# Where it runs


def test_it_leaves_nothing_behind_and_says_when_its_port_is_taken() -> None:
    before = threading.active_count()
    with Simulator(latency=Latency.constant(60)) as server:
        port = int(server.anthropic_url.rpartition(":")[2])
        with socket.create_connection(("127.0.0.1", port)) as waiting:
            waiting.sendall(b"POST /v1/messages HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n")
            with pytest.raises(OSError, match="in use"), Simulator(port=port):
                pass
    assert threading.active_count() == before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port))
    with pytest.raises(RuntimeError, match="no address before"):
        Simulator().url  # noqa: B018


def test_connections_that_come_as_it_stops_are_closed() -> None:
    lost: list[str] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "unraisablehook", lambda told: lost.append(str(told.exc_value)))
        for number in range(20):
            with Simulator() as server:
                address = ("127.0.0.1", int(server.anthropic_url.rpartition(":")[2]))
                connections = [socket.create_connection(address) for _ in range(3)]
                time.sleep(number % 3 * 0.0005)
            for connection in connections:
                connection.close()
        gc.collect()
    assert lost == []


def test_settings_survive_the_command_line() -> None:
    for latency in (Latency.constant(0.25), Latency.uniform(0.1, 0.2), Latency.lognormal(1.5, 0.3)):
        settings = Settings(
            latency=latency,
            faults=Faults(reset=0.1, batch_expired=0.2, retry_after=None, retry_after_date=True),
            seed=-4,
            requests_per_minute=90.5,
            capacity=7,
            batch_seconds=0.5,
            hold_batches=True,
            served_model="gpt 4",
            keys=frozenset({"one", "two"}),
            keep_last=3,
        )
        assert read_settings(settings_parser().parse_args(write_settings(settings))) == settings


async def test_a_process_serves_counts_and_ends_with_the_block(http: aiohttp.ClientSession) -> None:
    latency, faults = Latency.constant(0.01), Faults(batch_errored=1)
    cpu = max(os.sched_getaffinity(0))
    held = SimulatorProcess(
        cpu=cpu, latency=latency, faults=faults, batch_seconds=0, hold_batches=True, keep_last=50
    )
    with held as server:
        assert os.sched_getaffinity(server.pid) == {cpu}
        assert server.url == f"{server.anthropic_url}/v1"
        body = chat("Hi")
        _, answer = await sent(http, f"{server.url}/chat/completions", body)
        asked = Asked("openai", "gpt", (("user", "Hi"),), None, body)
        assert said(answer)[0] == judge_by_marker(asked) == "Hi"
        made = await submit(http, server.url, rows(1))
        server.release_batches()
        batch = await until(lambda: got(http, f"{server.url}/batches/{made['id']}"), "status", "completed")
        stats = server.stats()
    assert batch["request_counts"]["failed"] == 1
    assert stats["requests"] >= 4
    assert (stats["answered"], stats["faults"]) == (1, {"batch_errored": 1})
    assert stats["asked"] == {asked.digest: 1}
    assert (stats["bodies"][0], stats["headers"][0]["x-api-key"]) == (body, "any")
    with pytest.raises(ProcessLookupError):
        os.kill(server.pid, 0)


@pytest.mark.parametrize(
    ("arguments", "closes"), [(["--until-stdin-closes"], True), (["--seconds", "0.3"], False)]
)
def test_a_process_ends_by_itself(arguments: list[str], closes: bool) -> None:
    command = [sys.executable, "-m", "jurist.testing.simulator", *arguments]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert process.stdin is not None
        assert process.stdout.readline().startswith("http://127.0.0.1:")
        if closes:
            assert process.poll() is None
            process.stdin.close()
        assert process.wait(10) == 0


def test_the_help_explains_every_argument_and_how_it_judges() -> None:
    parser = settings_parser()
    assert [action.dest for action in parser._actions if not action.help] == []
    told = " ".join(parser.format_help().split())
    assert 'the one that has "(good)" in it' in told
    assert "by default every key is, but a request that has none gets 401" in told
