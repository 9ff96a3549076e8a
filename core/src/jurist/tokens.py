"""Tokens: about how many a text has, where no tokenizer is at hand."""

from __future__ import annotations

import re
from collections.abc import Iterable

from jurist.records import Message

_WIDE = re.compile(r"[\u3400-\u9fff\uf900-\ufaff\u3040-\u30ff\uac00-\ud7af]")


def estimate_tokens(messages: Iterable[Message]) -> int:
    """About how many tokens the messages have: one for four characters, and one for each of Chinese,
    Japanese or Korean. Good for an order of magnitude.
    """
    text = "".join(message.content for message in messages)
    wide = len(_WIDE.findall(text))
    return wide + (len(text) - wide + 3) // 4
