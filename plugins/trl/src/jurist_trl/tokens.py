"""Text to token ids, in one way for training and for scoring."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, cast

from jurist.errors import UsageError
from jurist.records import Message
from jurist.special_tokens import broken, spelled

ChatMessages = Sequence[dict[str, str]]
"""A conversation as ``datasets``, TRL and chat templates want it: the role and the content of each turn."""


def load_tokenizer(path: Path) -> Any:
    """The tokenizer of a checkpoint.

    Raises:
        UsageError: it has no chat template, end-of-sequence or padding token; lists what is missing.
    """
    from transformers import AutoTokenizer

    if not (path / "config.json").is_file():
        raise UsageError(f"no model at {path}", hint="give the folder of a transformers checkpoint")
    tokenizer = AutoTokenizer.from_pretrained(path)
    faults = []
    if tokenizer.chat_template is None:
        faults.append("no chat template: set tokenizer.chat_template")
    if tokenizer.eos_token_id is None:
        faults.append("no end-of-sequence token: set tokenizer.eos_token")
    if tokenizer.pad_token_id is None:
        faults.append(
            "no padding token: set tokenizer.pad_token (a token of its own rather than the eos token)"
        )
    if faults:
        raise UsageError.of_faults(
            f"tokenizer of {path}", faults, hint="set them and call tokenizer.save_pretrained on that folder"
        )
    return tokenizer


def messages(conversation: Iterable[Message]) -> list[dict[str, str]]:
    """A conversation of core as chat messages."""
    return [{"role": turn.role, "content": turn.content} for turn in conversation]


def prompt_ids(tokenizer: Any, prompt: ChatMessages) -> list[int]:
    """A prompt up to where the assistant's answer begins."""
    return _template(tokenizer, prompt, add_generation_prompt=True)


def conversation_ids(tokenizer: Any, conversation: ChatMessages) -> list[int]:
    """A whole conversation, ending in exactly one end-of-sequence token.

    Templates differ in what they write after the last turn: nothing, the token, or the token and a
    line end. A policy stops at the token, so it is what training and scoring must end with, too.
    """
    ids = _template(tokenizer, conversation, add_generation_prompt=False)
    end: int = tokenizer.eos_token_id
    if end in ids:
        last = len(ids) - 1 - ids[::-1].index(end)
        if not tokenizer.decode(ids[last + 1 :]).strip():
            return ids[: last + 1]
    return [*ids, end]


def completion_labels(prompt: list[int], whole: list[int]) -> list[int]:
    """``whole`` with -100 for the prompt; the two may part earlier where tokens merge."""
    shared = shared_length(prompt, whole)
    return [-100] * shared + whole[shared:]


def shared_length(prompt: list[int], whole: list[int]) -> int:
    """How many tokens both begin with."""
    pairs = enumerate(zip(prompt, whole, strict=False))
    return next((i for i, (a, b) in pairs if a != b), min(len(prompt), len(whole)))


def plain_contents(tokenizer: Any, conversation: ChatMessages) -> list[dict[str, str]]:
    """A conversation in whose contents no special token is spelled; the chat template's own tokens stay."""
    special = _special_tokens(tokenizer)
    return [turn | {"content": broken(turn["content"], special)} for turn in conversation]


def _template(tokenizer: Any, conversation: ChatMessages, **options: bool) -> list[int]:
    from jinja2 import TemplateError

    plain = plain_contents(tokenizer, conversation)
    try:
        encoded = tokenizer.apply_chat_template(plain, tokenize=True, return_dict=True, **options)
    except (TemplateError, ValueError) as error:
        roles = ", ".join(turn["role"] for turn in conversation)
        raise UsageError(
            f"the chat template of {tokenizer.name_or_path} does not accept a conversation of {roles}",
            provided_by="jurist-trl",
            cause=error,
            hint="set another chat_template on the tokenizer, or leave such conversations out",
        ) from error
    return cast("list[int]", list(encoded["input_ids"]))


_special_tokens = lru_cache(maxsize=4)(spelled)
