"""Encoder: from conversations to the token ids that a labeler reads."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from jurist.errors import UsageError
from jurist.records import Message
from jurist.special_tokens import broken, spelled
from jurist_classifier.pairs import PROVIDED_BY

TEMPLATE = (
    "{{ cls_token or bos_token or '' }}"
    "{% for message in messages %}"
    "{{ message.role }}: {{ message.content }}{{ sep_token or eos_token }}"
    "{% endfor %}"
)
"""For tokenizers without a chat template, as those of encoders are."""

_PAD = "<|labeler_pad|>"


class Encoder:
    """A tokenizer with its chat template.

    A conversation ends in exactly one end-of-sequence token, whatever the template writes last: it is
    where decoders are read. One of more than ``max_length`` tokens loses the earliest after the first,
    so that of a prompt and a response the response stays.
    """

    def __init__(self, tokenizer: Any, max_length: int) -> None:
        self.tokenizer = tokenizer
        self.max_length = max_length

    @property
    def pad(self) -> int:
        """The id of the padding token."""
        pad: int = self.tokenizer.pad_token_id
        return pad

    @cached_property
    def _special(self) -> frozenset[str]:
        return spelled(self.tokenizer)

    def encode(self, conversation: Sequence[Message]) -> list[int]:
        """The token ids of a whole conversation, of any length; no text in it spells a special token.

        Raises:
            UsageError: the chat template does not accept it.
        """
        import jinja2

        turns = [{"role": turn.role, "content": broken(turn.content, self._special)} for turn in conversation]
        try:
            encoded = self.tokenizer.apply_chat_template(turns, tokenize=True, return_dict=True)
        except (jinja2.TemplateError, ValueError) as error:
            raise UsageError(
                "the labeler's chat template does not accept a conversation",
                provided_by=PROVIDED_BY,
                cause=error,
                hint="set another chat_template on the tokenizer of the base",
            ) from error
        return self._ended(list(encoded["input_ids"]))

    def shortened(self, ids: list[int]) -> list[int]:
        """At most ``max_length`` of them: the first, if it is one that begins a text, and the last."""
        if len(ids) <= self.max_length:
            return ids
        beginnings = {self.tokenizer.cls_token_id, self.tokenizer.bos_token_id} - {None}
        kept = ids[:1] if ids[0] in beginnings else []
        return kept + ids[len(ids) - self.max_length + len(kept) :]

    def _ended(self, ids: list[int]) -> list[int]:
        end: int = self.tokenizer.eos_token_id
        if end in ids:
            last = len(ids) - 1 - ids[::-1].index(end)
            if not self.tokenizer.decode(ids[last + 1 :]).strip():
                return ids[: last + 1]
        return [*ids, end]


def prepare(tokenizer: Any) -> None:
    """Give a base's tokenizer what a labeler needs and it lacks; it is saved with the labeler.

    That is a chat template, an end-of-sequence token (an encoder's separator serves) and a padding token
    that is not the end-of-sequence token: Transformers reads a decoder at the last token that is no
    padding, and would miss the end.

    Raises:
        UsageError: it has neither end-of-sequence token nor separator.
    """
    if tokenizer.eos_token is None:
        if tokenizer.sep_token is None:
            raise UsageError(
                "the tokenizer of the base has no end-of-sequence token and no separator",
                provided_by=PROVIDED_BY,
                hint="set tokenizer.eos_token and call tokenizer.save_pretrained on the base's folder",
            )
        tokenizer.eos_token = tokenizer.sep_token
    if tokenizer.pad_token is None or tokenizer.pad_token_id == tokenizer.eos_token_id:
        tokenizer.add_special_tokens({"pad_token": _PAD})
    if tokenizer.chat_template is None:
        tokenizer.chat_template = TEMPLATE
