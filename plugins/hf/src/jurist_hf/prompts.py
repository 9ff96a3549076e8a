"""From messages to token ids: a tokenizer with its chat template, which is all that counting tokens takes."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import jinja2
from transformers import AutoTokenizer

from jurist.chat import ChatRequest
from jurist.errors import ProviderError
from jurist.special_tokens import broken, spelled
from jurist_hf.checkpoint import PROVIDED_BY, find_checkpoint, unusable

if TYPE_CHECKING:
    from jurist_hf.model import TransformersOptions


@dataclass
class PromptEncoder:
    """A tokenizer, and the chat template that turns messages into text."""

    name: str
    tokenizer: Any
    template: str
    template_kwargs: dict[str, Any]

    @cached_property
    def _special(self) -> frozenset[str]:
        return spelled(self.tokenizer)

    def encode_prompt(self, request: ChatRequest) -> list[int]:
        """The token ids of the request's messages; a last assistant message is left open.

        No other message spells a special token, so that none ends its turn and speaks for another.
        """
        continued = request.messages[-1].role == "assistant"
        messages = [message.model_dump() for message in request.messages]
        for message in messages[:-1] if continued else messages:
            message["content"] = broken(message["content"], self._special)
        try:
            text = self.tokenizer.apply_chat_template(
                messages,
                chat_template=self.template,
                tokenize=False,
                add_generation_prompt=not continued,
                continue_final_message=continued,
                **self.template_kwargs,
            )
        except (jinja2.TemplateError, ValueError) as error:
            raise ProviderError(
                f"The chat template of {self.name} does not accept these messages.",
                provided_by=PROVIDED_BY,
                cause=error,
                hint="give another template in chat_template",
            ) from error
        return self.encode_text(text)

    def encode_text(self, text: str) -> list[int]:
        """The token ids of a text, nothing added."""
        # Not verbose: that it is too long is told where it matters, with the prompt.
        ids: list[int] = self.tokenizer.encode(text, add_special_tokens=False, verbose=False)
        return ids

    def decode(self, ids: list[int]) -> str:
        """The text of token ids, without special ones."""
        text: str = self.tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text


def load_encoder(options: TransformersOptions) -> PromptEncoder:
    """Load the tokenizer that the options name; no weights.

    Raises:
        ProviderError: it cannot be loaded or has no chat template; fatal.
    """
    if options.tokenizer is None:
        checkpoint = find_checkpoint(options.model)
    else:
        checkpoint = find_checkpoint(options.tokenizer, "tokenizer_config.json")
    try:
        tokenizer = AutoTokenizer.from_pretrained(
            checkpoint.name, revision=checkpoint.revision or "main", trust_remote_code=False
        )
    except (OSError, ValueError, ImportError) as error:
        raise unusable(f"The tokenizer of {checkpoint.name} cannot be loaded.", error) from error
    template = options.template_text or tokenizer.chat_template
    if not isinstance(template, str):
        raise unusable(
            f"The tokenizer of {options.model} has no chat template.",
            hint="give one in chat_template: a Jinja file, or the text itself",
        )
    return PromptEncoder(options.model, tokenizer, template, dict(options.chat_template_kwargs))
