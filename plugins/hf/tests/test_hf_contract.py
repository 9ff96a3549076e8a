from pathlib import Path

import pytest

from jurist.testing.kit import ChatModelContract
from jurist_hf.model import TransformersChatModel


class TestTransformersChatModel(ChatModelContract):
    component = TransformersChatModel

    @pytest.fixture(autouse=True)
    def _use_the_tiny_checkpoint(self, checkpoint: Path) -> None:
        type(self).options = {"model": str(checkpoint), "device": "cpu", "max_length": 4096}
