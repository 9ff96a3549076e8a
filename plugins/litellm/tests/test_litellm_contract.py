from collections.abc import Iterator, Mapping

import pytest

from jurist.testing.kit import ChatModelContract
from jurist.testing.simulator import Asked, Simulator
from jurist_litellm.model import LiteLLMChatModel

# LiteLLM's own types warn, or not, depending on when it was first imported.
pytestmark = pytest.mark.filterwarnings("ignore:Items? .* using the .ReadOnly. qualifier:UserWarning")

ODDS = {"A": 0.4, "B": 0.25, "yes": 0.12, "no": 0.1, "perhaps": 0.06, "甲": 0.04, "乙": 0.03}


def answer(asked: Asked) -> str | Mapping[str, float]:
    """The words of the question, or how likely each choice is."""
    if asked.wants_logprobs:
        return ODDS
    return f"A: {asked.messages[-1][1] or 'nothing'}"


@pytest.fixture(scope="module")
def server() -> Iterator[Simulator]:
    with Simulator(answer) as running:
        yield running


class TestLiteLLMChatModel(ChatModelContract):
    component = LiteLLMChatModel

    @pytest.fixture(autouse=True)
    def _use_the_simulator(self, server: Simulator) -> None:
        type(self).options = {"model": "hosted_vllm/mine", "api_base": server.url, "api_key": "sk-x"}
