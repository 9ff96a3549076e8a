from typing import Any

import pytest
from aiohttp import web

from jurist.testing.kit import ChatModelContract
from jurist_litellm.model import LiteLLMChatModel

# LiteLLM's own types warn, or not, depending on when it was first imported.
pytestmark = pytest.mark.filterwarnings("ignore:Item .* is using the .ReadOnly. qualifier:UserWarning")

LISTED = {"A": -0.5, "B": -1.0, "yes": -2.0, "no": -2.5, "perhaps": -3.0, "甲": -3.5, "乙": -4.0}


def answer(body: dict[str, Any]) -> web.Response:
    """What a small server would say: the words of the question, within the request's limits."""
    words = f"A: {body['messages'][-1]['content'] or 'nothing'}".split()
    text = " ".join(words[: body["max_tokens"]])
    for stop in body.get("stop", []):
        text = text.partition(stop)[0]
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "finish_reason": "length" if len(words) > body["max_tokens"] else "stop",
    }
    if body.get("logprobs"):
        listed = [{"token": token, "logprob": p, "bytes": None} for token, p in LISTED.items()]
        choice["logprobs"] = {"content": [{**listed[0], "top_logprobs": listed}]}
    used = {"prompt_tokens": 9, "completion_tokens": min(len(words), body["max_tokens"])}
    return web.json_response(
        {
            "id": "1",
            "object": "chat.completion",
            "created": 1,
            "model": "mine",
            "choices": [choice],
            "usage": {**used, "total_tokens": sum(used.values())},
        }
    )


class TestLiteLLMChatModel(ChatModelContract):
    component = LiteLLMChatModel

    @pytest.fixture(autouse=True)
    def _use_the_loopback_server(self, provider: Any) -> None:
        provider.handler = answer
        type(self).options = {"model": "hosted_vllm/mine", "api_base": provider.url, "api_key": "sk-x"}
