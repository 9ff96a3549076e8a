"""OpenAI's tokenizer, where it is at hand."""

from __future__ import annotations

from typing import TYPE_CHECKING

from jurist.chat import ChatRequest

if TYPE_CHECKING:
    import tiktoken

_PER_MESSAGE = 4
_PER_REPLY = 3
"""Tokens that the chat format puts around a message, and before the reply."""


class Tokenizer:
    """Counts the tokens of requests to one of OpenAI's models."""

    def __init__(self, encoding: tiktoken.Encoding) -> None:
        self._encoding = encoding

    @classmethod
    def of(cls, model: str) -> Tokenizer | None:
        """The tokenizer of ``model``; None when its vocabulary is neither here nor to be had."""
        import tiktoken

        try:
            return cls(tiktoken.encoding_for_model(model))
        except (KeyError, OSError, ValueError):  # an unknown model, or no way to fetch the vocabulary
            return None

    def count(self, request: ChatRequest) -> int:
        """How many tokens the messages of ``request`` have."""
        texts = [message.content for message in request.messages]
        tokens = sum(len(self._encoding.encode_ordinary(text)) for text in texts)
        return tokens + _PER_MESSAGE * len(texts) + _PER_REPLY
