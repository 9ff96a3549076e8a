"""What speaks against a training before it begins: all faults at once, and before a model is loaded."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jurist.errors import UsageError

SHORTER = "set max_length to what the model takes: longer examples are left out, and counted"
"""What to do where examples are too long for the model."""


def check_length(trainer: str, model: Path, tokens: int, hint: str) -> None:
    """See to it that the longest sequence of a training fits the model.

    Raises:
        UsageError: it has more ``tokens`` than the model has positions.
    """
    positions = getattr(_text_config(model), "max_position_embeddings", None)
    if positions is not None and tokens > positions:
        raise UsageError(
            f"sequences of up to {tokens} tokens are too long for {model}, which takes {positions}",
            provided_by=f"jurist-trl ({trainer})",
            hint=hint,
        )


def _text_config(model: Path) -> Any:
    from transformers import AutoConfig

    return AutoConfig.from_pretrained(model).get_text_config()


def vocabulary_faults(tokenizer: Any, model: Path) -> Iterator[str]:
    """What of the tokenizer does not belong to the model, going by its configuration."""
    highest = max(tokenizer.get_vocab().values())
    rows = getattr(_text_config(model), "vocab_size", None)
    if rows is not None and highest >= rows:
        yield (
            f"the tokenizer has token ids up to {highest}, and the model knows {rows} tokens: take the "
            "tokenizer that belongs to it, or call model.resize_token_embeddings(len(tokenizer)) and save it"
        )
