from collections.abc import Iterator

import pytest

from jurist.testing.kit import ChatModelContract
from jurist.testing.simulator import Asked, Simulator
from jurist_openai.model import OpenAIChatModel


def answer(asked: Asked) -> str:
    """The words of the question."""
    return f"A: {asked.messages[-1][1] or 'nothing'}"


@pytest.fixture(scope="module")
def server() -> Iterator[Simulator]:
    with Simulator(answer) as running:
        yield running


class TestOpenAIChatModel(ChatModelContract):
    component = OpenAIChatModel

    @pytest.fixture(autouse=True)
    def _use_the_simulator(self, server: Simulator) -> None:
        type(self).options = {"model": "mine", "base_url": server.url, "api_key": "sk-x"}
