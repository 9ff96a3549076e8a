"""Servers that others wrote, with what they really send: a LiteLLM proxy, and ``transformers serve``."""

from __future__ import annotations

import json
import math
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
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
from jurist.run import run
from jurist.testing.simulator import Asked, Faults, Simulator, judge_by_marker
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
PAIRS = 16
DEMO = Path(__file__).parents[1] / "plugins" / "demo" / "src" / "jurist_demo" / "model"
USES = ("openai", "litellm_proxy", "hosted_vllm")


def skip_without(*modules: str) -> None:
    """Skip where a server's own packages are not installed."""
    missing = [module for module in modules if find_spec(module) is None]
    if missing:
        pytest.skip(f"the server needs {', '.join(missing)}; see requirements-dev.txt")


@contextmanager
def serving(command: list[str], health: str, log: Path, environment: Environment) -> Iterator[str]:
    """The address of a server in a child process that answers at ``health``; ends with the block."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    whole = [sys.executable, *command, "--host", "127.0.0.1", "--port", str(port)]
    with log.open("wb") as output:
        streams: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": output, "stderr": output}
        process = subprocess.Popen(whole, env=environment, cwd=log.parent, **streams)
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


def compared(folder: Path, judge: dict[str, Any], pairs: int) -> dict[str, Any]:
    """The summary of a run that compares pairs whose better response says "(good)", by turns A and B."""
    with (folder / "pairs.jsonl").open("w", encoding="utf-8") as file:
        for number in range(pairs):
            answers = [f"Answer {number} (good)", f"Answer {number}"]
            first, second = answers if number % 2 else answers[::-1]
            pair = {"prompt": f"Question {number}?", "response_a": first, "response_b": second}
            file.write(json.dumps(pair) + "\n")
    settings = {"name": "judge", "labels": "verdict", "limits": {"concurrency": 8, "attempts": 12}, **judge}
    stage = {"stage": "compare", "pairs": str(folder / "pairs.jsonl"), "principles": "none"}
    recipe = Recipe.of({"name": "foreign", "stages": [{**stage, "judges": [settings]}]})
    return run(recipe, folder / "run", Registry.discover(disabled=("review",))).stages[0].summary


@dataclass
class Proxy:
    """A LiteLLM proxy in front of a simulator for each sort of fault."""

    url: str
    simulators: dict[str, Simulator]

    def settings(self, use: str, name: str, key: str = KEY) -> dict[str, Any]:
        """The component: ``openai``, or ``litellm`` along a route."""
        if use == "openai":
            return {"use": use, "model": name, "base_url": self.url, "api_key": key}
        return {"use": "litellm", "model": f"{use}/{name}", "api_base": self.url, "api_key": key}

    def model(self, use: str, name: str, key: str = KEY) -> ChatModel:
        settings = self.settings(use, name, key)
        if settings.pop("use") == "openai":
            return OpenAIChatModel(OpenAIOptions.model_validate(settings))
        return LiteLLMChatModel(LiteLLMOptions.model_validate(settings))


def say(asked: Asked) -> str | dict[str, float]:
    """A letter where one is asked for with its probability, else what the simulator says by itself."""
    return {"B": 0.8, "A": 0.2} if asked.wants_logprobs else judge_by_marker(asked)


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory, environment: Environment) -> Iterator[Proxy]:
    skip_without("apscheduler", "backoff", "expression", "fastapi", "fastapi_sso", "mcp", "redis", "uvloop")
    folder = tmp_path_factory.mktemp("proxy")
    with ExitStack() as stack:
        simulators = {
            name: stack.enter_context(Simulator(say, faults=each, seed=3)) for name, each in FAULTS.items()
        }
        behind = {"model": "openai/simulated", "api_key": "sk-x"}
        config = {
            "model_list": [
                {"model_name": name, "litellm_params": {**behind, "api_base": each.url}}
                for name, each in simulators.items()
            ],
            # Jurist's engine is to see every fault.
            "router_settings": {"num_retries": 0, "disable_cooldowns": True},
            "general_settings": {"master_key": KEY},
        }
        (folder / "config.yaml").write_text(yaml.safe_dump(config), encoding="utf-8")
        command = ["-c", "from litellm import run_server; run_server()", "--config", "config.yaml"]
        quiet = {**environment, "LITELLM_LOCAL_MODEL_COST_MAP": "True"}
        server = serving(command, "/health/liveliness", folder / "proxy.log", quiet)
        yield Proxy(f"{stack.enter_context(server)}/v1", simulators)


@pytest.mark.parametrize("use", USES)
async def test_what_a_proxy_passes_on(proxy: Proxy, use: str) -> None:
    reply = await answer(proxy.model(use, "fine"), ask("one two three", seed=7, stop=("END",)))
    assert (reply.text, reply.finish_reason) == ("one two three", "stop")
    assert (reply.usage.prompt_tokens, reply.usage.completion_tokens) == (3, 3)
    assert reply.served_model == ("litellm_proxy/fine" if use == "litellm_proxy" else "fine")
    sent = proxy.simulators["fine"].counters.bodies[-1]
    assert (sent["seed"], sent["stop"], sent["max_tokens"], sent["temperature"]) == (7, ["END"], 12, 0.0)
    cut = await answer(proxy.model(use, "fine"), ask("one two three", max_tokens=2))
    assert (cut.text, cut.finish_reason) == ("one two", "length")
    letter = await answer(proxy.model(use, "fine"), ask(LETTER, "A", "B"))
    assert letter.choice_logprobs == pytest.approx((math.log(0.2), math.log(0.8)))


@pytest.mark.parametrize("use", USES)
async def test_what_failures_behind_a_proxy_mean(proxy: Proxy, use: str) -> None:
    for name, limited in (("limited", True), ("broken", False), ("not_json", False)):
        counters = proxy.simulators[name].counters
        before = counters.requests
        error = await failure(proxy.model(use, name))
        assert (error.retryable, error.rate_limited, error.fatal) == (True, limited, False)
        assert counters.requests == before + 1
        assert error.retry_after == (7.0 if limited else None)
    for model in (proxy.model(use, "fine", key="sk-wrong"), proxy.model(use, "unknown")):
        error = await failure(model)  # the proxy answers both with 400
        assert (error.retryable, error.fatal) == (False, True)


@pytest.mark.parametrize("use", USES)
async def test_a_refusal_behind_a_proxy_is_no_answer(proxy: Proxy, use: str) -> None:
    filtered, declined = [await answer(proxy.model(use, "refusing"), ask("x")) for _ in range(2)]
    assert (filtered.text, filtered.finish_reason, declined.text) == ("", "refusal", "")
    if use in ("openai", "hosted_vllm"):  # LiteLLM's other clients do not look where the proxy puts it
        assert declined.finish_reason == "refusal"


@pytest.mark.parametrize("use", USES)
def test_a_run_behind_a_faulty_proxy_labels_rightly_and_pays_once(
    proxy: Proxy, use: str, tmp_path: Path, rows: Rows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KEY_OF_THE_PROXY", KEY)
    counters = proxy.simulators["mixed"].counters
    answered, struck = counters.answered, counters.faults.copy()
    settings = {**proxy.settings(use, "mixed"), "api_key": "${KEY_OF_THE_PROXY}"}
    summary = compared(tmp_path, settings, PAIRS)
    assert all((counters.faults - struck)[name] for name in ("rate_limited", "server_error", "garbage"))
    preferences = rows(tmp_path / "run" / "stages" / "01-compare" / "preferences.jsonl")
    assert all("(good)" in each["chosen"][0]["content"] for each in preferences)
    assert len(preferences) + summary["decisions"].get("no_votes", 0) == PAIRS
    assert len(preferences) > PAIRS // 2
    state = json.loads((tmp_path / "run" / "run.json").read_text(encoding="utf-8"))
    assert state["totals"]["judge"]["calls"] == counters.answered - answered


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model of two layers with the tokenizer of the demo, as a folder that transformers loads."""
    import torch
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    folder = tmp_path_factory.mktemp("checkpoint")
    AutoTokenizer.from_pretrained(DEMO).save_pretrained(folder)
    changes = {"dtype": "float32", "max_position_embeddings": 4096, "tie_word_embeddings": False}
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(DEMO, **changes))
    with torch.no_grad():
        model.lm_head.weight.mul_(20)  # its logits are spread enough to have a clear arg-max
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def transformers_server(
    checkpoint: Path, tmp_path_factory: pytest.TempPathFactory, environment: Environment
) -> Iterator[str]:
    """The address of ``transformers serve``, with the checkpoint."""
    skip_without("fastapi", "uvicorn", "openai")
    command = ["-m", "transformers.cli.transformers", "serve", str(checkpoint), "--device", "cpu"]
    log = tmp_path_factory.mktemp("serve") / "serve.log"
    quiet = {**environment, "HF_HUB_DISABLE_UPDATE_CHECK": "1"}
    with serving(command, "/health", log, quiet) as address:
        yield f"{address}/v1"


def greedy(checkpoint: Path, request: ChatRequest) -> str:
    """What transformers writes without a server."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(checkpoint)
    model = AutoModelForCausalLM.from_pretrained(checkpoint)
    messages = [each.model_dump() for each in request.messages]
    asked = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors="pt")
    with torch.no_grad():
        whole = model.generate(**asked, do_sample=False, max_new_tokens=request.sampling.max_tokens)
    text: str = tokenizer.decode(whole[0, asked["input_ids"].shape[1] :], skip_special_tokens=True)
    return text


async def test_what_transformers_serves_is_what_it_writes(transformers_server: str, checkpoint: Path) -> None:
    options = OpenAIOptions(model=str(checkpoint), base_url=transformers_server)
    for text in ("Which answer is better?", "哪个回答更好?"):
        reply = await answer(OpenAIChatModel(options), ask(text))
        assert reply.text == greedy(checkpoint, ask(text)) != ""


@pytest.mark.parametrize("labels", ["verdict", "auto"])  # it has no log-probabilities, asked for or not
def test_a_run_on_a_model_that_writes_nonsense_invents_no_label(
    transformers_server: str, checkpoint: Path, tmp_path: Path, rows: Rows, labels: str
) -> None:
    settings = {"use": "openai", "model": str(checkpoint), "base_url": transformers_server, "max_tokens": 12}
    summary = compared(tmp_path, {**settings, "labels": labels}, 4)
    assert rows(tmp_path / "run" / "stages" / "01-compare" / "preferences.jsonl") == []
    assert summary["decisions"] == {"no_votes": 4}
