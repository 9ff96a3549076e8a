"""Models: loading a base or a labeler, and reading margins of pairs."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForSequenceClassification, AutoTokenizer
from transformers.utils import logging

from jurist.errors import UsageError
from jurist_classifier.encoding import Encoder, prepare
from jurist_classifier.heads import Head
from jurist_classifier.pairs import PROVIDED_BY

Texts = tuple[list[int], list[int]]
"""The token ids of a pair's two texts."""

# Transformers loads by changing state of the whole process for a while (the default dtype, how weights are
# initialised), so two loads at once spoil each other.
_ONE_AT_A_TIME = threading.Lock()


def load_base(name: str, head: Head, max_length: int) -> tuple[Any, Encoder]:
    """A model in float32 with a new head, and its encoder; the head is drawn by torch's generator.

    Raises:
        UsageError: the base cannot be loaded, or its tokenizer lacks what cannot be given to it.
    """
    labels = dict(enumerate(head.labels))
    config = {"num_labels": len(labels), "id2label": labels, "label2id": {v: k for k, v in labels.items()}}
    try:
        tokenizer = AutoTokenizer.from_pretrained(name, trust_remote_code=False)
        model = _load(name, dtype=torch.float32, **config)
    except (OSError, ValueError, ImportError, RuntimeError) as error:
        raise UsageError(
            f"the base '{name}' cannot be loaded",
            provided_by=PROVIDED_BY,
            cause=error,
            hint="give a folder with a checkpoint in safetensors and its tokenizer, or a hub id",
        ) from error
    prepare(tokenizer)
    if len(tokenizer) > model.get_input_embeddings().num_embeddings:
        model.resize_token_embeddings(len(tokenizer), mean_resizing=False)
    model.config.get_text_config().pad_token_id = tokenizer.pad_token_id
    positions = getattr(model.config.get_text_config(), "max_position_embeddings", None) or max_length
    return model, Encoder(tokenizer, min(max_length, positions, tokenizer.model_max_length))


def load_trained(folder: Path, max_length: int, dtype: str, device: str) -> tuple[Any, Encoder]:
    """A labeler's model, ready to be asked, and its encoder."""
    tokenizer = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    model = _load(str(folder), dtype=getattr(torch, dtype))
    return model.to(device_of(device)).eval().requires_grad_(False), Encoder(tokenizer, max_length)


def device_of(name: str) -> torch.device:
    """The device of that name; ``auto`` is the accelerator, if there is one.

    Raises:
        UsageError: there is no such device.
    """
    if name == "auto":
        found = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
        return found or torch.device("cpu")
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise UsageError(
            f"there is no device '{name}'",
            provided_by=PROVIDED_BY,
            cause=error,
            hint="auto, cpu, cuda, cuda:1, mps",
        ) from error


def readings(model: Any, head: Head, texts: Sequence[list[int]], pad: int) -> torch.Tensor:
    """One number for each text, shape (texts,), in float32; padded on the right."""
    rows = [torch.tensor(ids) for ids in texts]
    ids = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=pad)
    lengths = torch.tensor([len(row) for row in rows])
    mask = (torch.arange(ids.shape[1]) < lengths[:, None]).long()
    logits = model(input_ids=ids.to(model.device), attention_mask=mask.to(model.device)).logits
    return head.readings(logits.float())


def margins(model: Any, head: Head, pairs: Sequence[Texts], pad: int, batch_size: int) -> list[float]:
    """The margin of each pair, without gradients; above 0 where A is found better.

    Each different text is read once, in an order that depends on the texts alone: the margins of swapped
    pairs are exactly those of the pairs with the sign changed, and those of equal responses exactly 0.
    """
    ordered = sorted({tuple(ids) for texts in pairs for ids in texts}, key=lambda ids: (len(ids), ids))
    read: dict[tuple[int, ...], float] = {}
    for start in range(0, len(ordered), 2 * batch_size):
        batch = ordered[start : start + 2 * batch_size]
        with torch.inference_mode():
            values = readings(model, head, [list(ids) for ids in batch], pad).tolist()
        read.update(zip(batch, values, strict=True))
    return [read[tuple(first)] - read[tuple(second)] for first, second in pairs]


def _load(name: str, **settings: Any) -> Any:
    with _ONE_AT_A_TIME, _no_progress_bar():
        return AutoModelForSequenceClassification.from_pretrained(
            name, use_safetensors=True, trust_remote_code=False, **settings
        )


@contextmanager
def _no_progress_bar() -> Iterator[None]:
    """Loading takes seconds, and a bar of it would run through the one that the run shows."""
    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()
