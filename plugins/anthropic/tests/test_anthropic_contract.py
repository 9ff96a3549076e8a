from collections.abc import Iterator

import pytest

from jurist.testing.kit import ChatModelContract
from jurist.testing.simulator import Simulator
from jurist_anthropic.model import AnthropicChatModel


class TestAnthropicChatModel(ChatModelContract):
    component = AnthropicChatModel

    @pytest.fixture(autouse=True)
    def _use_the_simulator(self) -> Iterator[None]:
        with Simulator() as server:
            type(self).options = {
                "model": "claude-haiku-4-5",
                "base_url": server.anthropic_url,
                "api_key": "sk-x",
            }
            yield
