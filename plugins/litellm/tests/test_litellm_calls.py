import asyncio
import logging
from collections.abc import Callable
from typing import Any

import pytest

from jurist.chat import ChatRequest
from jurist.testing.simulator import Faults, Simulator
from jurist_litellm.model import LiteLLMChatModel

# LiteLLM's own types warn, or not, depending on when it was first imported.
pytestmark = pytest.mark.filterwarnings("ignore:Items? .* using the .ReadOnly. qualifier:UserWarning")

Ask = Callable[..., ChatRequest]
Make = Callable[..., LiteLLMChatModel]


async def until(condition: Callable[[], bool]) -> None:
    """Come back when it holds; LiteLLM writes its reports behind the call."""
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


@pytest.fixture
def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The models whose price LiteLLM looked for."""
    import litellm

    models: list[str] = []
    original = litellm.response_cost_calculator

    def noted(**told: Any) -> Any:
        models.append(told["model"])
        return original(**told)

    monkeypatch.setattr(litellm, "response_cost_calculator", noted)
    return models


@pytest.fixture
def reports(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The records of the calls that LiteLLM wrote a report of."""
    from litellm.litellm_core_utils.litellm_logging import Logging

    records: list[Any] = []
    original = Logging.async_success_handler

    async def noted(record: Any, *arguments: Any, **named: Any) -> None:
        records.append(record)
        await original(record, *arguments, **named)

    monkeypatch.setattr(Logging, "async_success_handler", noted)
    return records


async def test_a_price_that_is_not_there_is_looked_for_once(
    ask: Ask, model_at: Make, looked_up: list[str]
) -> None:
    with Simulator() as server:
        model = model_at(server.url, "hosted_vllm/mine")
        for number in range(3):
            await model.complete(ask(f"question {number}"))
        assert looked_up == ["hosted_vllm/mine"]
        await model_at(server.url, "hosted_vllm/mine", price={"input": 1, "output": 1}).complete(ask())
        assert looked_up == ["hosted_vllm/mine"]
        await model_at(server.url).complete(ask())
    assert looked_up == ["hosted_vllm/mine", "openai/gpt-4o-mini"]


async def test_no_report_is_written_that_nobody_would_get(
    ask: Ask, model_at: Make, reports: list[Any]
) -> None:
    import litellm

    with Simulator() as server:
        await model_at(server.url).complete(ask())
        # Others in the same program keep theirs, though they are written later.
        await litellm.acompletion(
            model="openai/x", api_base=server.url, api_key="k", messages=[{"role": "user", "content": "hi"}]
        )
        await until(lambda: len(reports) == 1)
    assert [record.model for record in reports] == ["x"]


async def test_the_callbacks_of_a_program_get_their_reports(
    ask: Ask, model_at: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    import litellm
    from litellm.integrations.custom_logger import CustomLogger

    told: list[str] = []

    class Listener(CustomLogger):  # type: ignore[misc]
        async def async_log_success_event(self, kwargs: Any, *_: Any, **__: Any) -> None:
            told.append(f"success of {kwargs['model']}")

        async def async_log_failure_event(self, kwargs: Any, *_: Any, **__: Any) -> None:
            told.append(f"failure of {kwargs['model']}")

    for name in ("callbacks", "input_callback", "success_callback", "failure_callback"):
        monkeypatch.setattr(litellm, name, [])
    for name in ("_async_input_callback", "_async_success_callback", "_async_failure_callback"):
        monkeypatch.setattr(litellm, name, [])
    monkeypatch.setattr(litellm, "callbacks", [Listener()])
    with Simulator() as server, Simulator(faults=Faults(server_error=1.0)) as broken:
        await model_at(server.url).complete(ask())
        with pytest.raises(Exception, match="gave no answer"):
            await model_at(broken.url).complete(ask())
        await until(lambda: len(told) == 2)
    assert told == ["success of gpt-4o-mini", "failure of gpt-4o-mini"]


async def test_a_release_with_other_records_is_slower_and_says_so(
    ask: Ask, model_at: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def changed(*_: object, **__: object) -> None:
        raise TypeError("Logging takes no function_id")

    monkeypatch.setattr("jurist_litellm.record.Record.__init__", changed)
    with Simulator(lambda asked: "yes") as server, caplog.at_level(logging.WARNING, "jurist_litellm"):
        reply = await model_at(server.url).complete(ask())
    assert reply.text == "yes"
    assert "doubles their CPU time: Logging takes no function_id" in caplog.text
