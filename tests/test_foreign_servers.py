"""Servers that others wrote, with what they really send: a LiteLLM proxy, and ``transformers serve``."""

from __future__ import annotations

import asyncio
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import yaml

from jurist import Recipe
from jurist.chat import ChatReply, ChatRequest, Sampling
from jurist.contracts import ChatModel
from jurist.errors import ProviderError
from jurist.records import Message
from jurist.run import Run, run
from jurist.testing.simulator import Faults, Simulator
from jurist_litellm.model import LiteLLMChatModel, LiteLLMOptions
from jurist_openai.model import OpenAIChatModel, OpenAIOptions
from jurist_registry.registry import Registry

Rows = Callable[[Path], list[Any]]
Environment = dict[str, str]

pytestmark = [
    pytest.mark.slow,
    # LiteLLM's own types warn, or not, depending on when it was first imported.
    pytest.mark.filterwarnings("ignore:Items? .* using the .ReadOnly. qualifier:UserWarning"),
]

KEY = "sk-of-the-proxy"
LETTER = "Which is better? Answer with the letter A or B alone."
FAULTS = {
    "fine": Faults(),
    "limited": Faults(rate_limited=1.0, retry_after=7),
    "broken": Faults(server_error=1.0),
    "not_json": Faults(not_json=1.0),
    "refusing": Faults(refusal=1.0),
    "mixed": Faults(rate_limited=0.1, server_error=0.1, not_json=0.05, garbage=0.1, retry_after=0.1),
}
PAIRS = 24


@contextmanager
def serving(command: list[str], health: str, log: Path, environment: Environment) -> Iterator[str]:
    """The address of a server in a child process that answers at ``health``; ends with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    whole = [sys.executable, *command, "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as output:
        process = subprocess.Popen(
            whole, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment, cwd=log.parent
        )
    try:
        address = f"http://127.0.0.1:{port}"
        await_health(process, address + health, log)
        yield address
    finally:
        process.terminate()
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def await_health(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    deadline = time.monotonic() + 90
    while True:
        try:
            with urllib.request.urlopen(url, timeout=5):
                return
        except (urllib.error.URLError, OSError):
            assert process.poll() is None, log.read_text(encoding="utf-8")
            assert time.monotonic() < deadline, log.read_text(encoding="utf-8")
            time.sleep(0.1)


def ask(text: str, *choices: str, **sampling: Any) -> ChatRequest:
    return ChatRequest(
        messages=(Message(role="user", content=text),),
        sampling=Sampling(**{"temperature": 0.0, "max_tokens": 12, **sampling}),
        choices=choices,
    )


async def answer(model: ChatModel, request: ChatRequest) -> ChatReply:
    try:
        return await model.complete(request)
    finally:
        await model.close()


async def failure(model: ChatModel) -> ProviderError:
    with pytest.raises(ProviderError) as caught:
        await answer(model, ask("hello"))
    return caught.value


class Proxy:
    """A LiteLLM proxy in front of a simulator for each sort of fault."""

    def __init__(self, address: str, simulators: dict[str, Simulator]) -> None:
        self.url = f"{address}/v1"
        self.simulators = simulators

    def model(self, use: str, name: str, key: str = KEY) -> ChatModel:
        settings = self.settings(use, name, key)
        if settings.pop("use") == "openai":
            return OpenAIChatModel(OpenAIOptions.model_validate(settings))
        return LiteLLMChatModel(LiteLLMOptions.model_validate(settings))

    def settings(self, use: str, name: str, key: str = KEY) -> dict[str, Any]:
        """The component: ``openai``, or ``litellm`` along a route."""
        if use == "openai":
            return {"use": use, "model": name, "base_url": self.url, "api_key": key}
        return {"use": "litellm", "model": f"{use}/{name}", "api_base": self.url, "api_key": key}


USES = ("openai", "litellm_proxy", "hosted_vllm")


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, environment: Environment) -> Iterator[Proxy]:
    for module in ("fastapi", "uvloop", "fastapi_sso", "apscheduler"):
        if find_spec(module) is None:
            pytest.skip(f"the LiteLLM proxy needs {module}; see requirements-dev.txt")
    folder = tmp_path_factory.mktemp("proxy")
    with ExitStack() as stack:
        simulators = {
            name: stack.enter_context(Simulator(faults=faults, seed=3)) for name, faults in FAULTS.items()
        }
        config = {
            "model_list": [
                {
                    "model_name": name,
                    "litellm_params": {"model": "openai/simulated", "api_base": each.url, "api_key": "sk-x"},
                }
                for name, each in simulators.items()
            ],
            # Jurist's engine is to see every fault.
            "router_settings": {"num_retries": 0, "disable_cooldowns": True},
            "litellm_settings": {"num_retries": 0},
            "general_settings": {"master_key": KEY},
        }
        (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        command = ["-c", "from litellm import run_server; run_server()", "--config", "config.yaml"]
        quiet = {**environment, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        yield Proxy(
            stack.enter_context(serving(command, "/health/liveliness", folder / "proxy.log", quiet)),
            simulators,
        )


@pytest.mark.parametrize("use", USES)
async def test_what_a_proxy_passes_on(proxy: Proxy, use: str) -> None:
    reply = await answer(proxy.model(use, "fine"), ask("one two three"))
    assert (reply.text, reply.finish_reason, reply.served_model) == ("one two three", "stop", "fine")
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (3, 3)
    cut = await answer(proxy.model(use, "fine"), ask("one two three", max_tokens=2))
    assert (cut.text, cut.finish_reason) == ("one two", "length")
    for _ in range(2):  # by turns in the message and by a filter
        assert (await answer(proxy.model(use, "refusing"), ask("x"))).finish_reason == "refusal"


@pytest.mark.parametrize("use", USES)
async def test_what_failures_behind_a_proxy_mean(proxy: Proxy, use: str) -> None:
    for name, limited in (("limited", True), ("broken", False), ("not_json", False)):
        before = proxy.simulators[name].counters.requests
        error = await failure(proxy.model(use, name))
        assert (error.retryable, error.rate_limited, error.fatal) == (True, limited, False), str(error)
        print(use, name, error.retry_after, proxy.simulators[name].counters.requests - before, error)
    error = await failure(proxy.model(use, "fine", key="sk-wrong"))
    print(use, error, error.fatal)
    error = await failure(proxy.model(use, "unknown"))
    print(use, error, error.fatal)
