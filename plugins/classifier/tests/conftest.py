"""Tiny bases, tokenizers and preferences, made on the spot."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

TOPICS = ["red", "green", "blue", "one", "two", "three", "colour", "number", "what", "is", "the", "say"]
FILLERS = ["well", "maybe", "so", "then", "now", "here", "there", "yes", "no", "please"]
WORDS = [*TOPICS, *FILLERS, "good", "bad", "user", "assistant", "system", "a", "b", ":"]


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def build_tokenizer(*, encoder: bool) -> Any:
    """A lower-case word tokenizer of :data:`WORDS`, without a chat template."""
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"] if encoder else ["<unk>", "<eos>"]
    unknown = "[UNK]" if encoder else "<unk>"
    vocabulary = {word: i for i, word in enumerate([*special, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token=unknown))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()]
    )
    if encoder:
        return PreTrainedTokenizerFast(
            tokenizer_object=tokenizer,
            unk_token="[UNK]",
            pad_token="[PAD]",
            cls_token="[CLS]",
            sep_token="[SEP]",
        )
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, unk_token="<unk>", eos_token="<eos>")


def save_encoder(folder: Path, tokenizer: Any) -> Path:
    """A ModernBERT of one layer with random weights, read at the mean of its tokens."""
    import torch
    from transformers import ModernBertConfig, ModernBertModel

    config = ModernBertConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=256,
        classifier_pooling="mean",
        mlp_dropout=0.1,
        pad_token_id=tokenizer.pad_token_id,
        cls_token_id=tokenizer.cls_token_id,
        sep_token_id=tokenizer.sep_token_id,
        bos_token_id=tokenizer.cls_token_id,
        eos_token_id=tokenizer.sep_token_id,
    )
    torch.manual_seed(0)
    ModernBertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def save_decoder(folder: Path, tokenizer: Any) -> Path:
    """A Llama of two layers with random weights. Its tokenizer has neither padding token nor template."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=32,
        intermediate_size=48,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=128,
        initializer_range=0.1,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=None,
        bos_token_id=None,
    )
    torch.manual_seed(0)
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def bases(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The folders of an encoder and of a decoder."""
    encoder, decoder = (tmp_path_factory.mktemp(name) for name in ("encoder", "decoder"))
    return {
        "encoder": save_encoder(encoder, build_tokenizer(encoder=True)),
        "decoder": save_decoder(decoder, build_tokenizer(encoder=False)),
    }


def planted(count: int, *, probability: float = 1.0) -> list[dict[str, Any]]:
    """Preferences for the response with 'good' in it over the one with 'bad', of any length and place."""
    rows = []
    for i in range(count):
        words = [FILLERS[(i * 7 + k) % 10] for k in range(1 + i % 5)]
        others = [FILLERS[(i * 3 + k) % 10] for k in range(1 + (i // 2) % 5)]
        words.insert(i % len(words), "good")
        others.insert((i // 3) % len(others), "bad")
        prompt = f"what is the {TOPICS[i % 7]} {TOPICS[(i // 7) % 11]} {TOPICS[i % 12]}"
        rows.append(
            {
                "prompt": [{"role": "user", "content": prompt}],
                "chosen": [{"role": "assistant", "content": " ".join(words)}],
                "rejected": [{"role": "assistant", "content": " ".join(others)}],
                "probability": probability,
            }
        )
    return rows


def write_lines(path: Path, rows: Iterable[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def preferences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """300 preferences by the planted rule."""
    return write_lines(tmp_path_factory.mktemp("data") / "preferences.jsonl", planted(300))


@pytest.fixture(scope="session")
def make_rows() -> Callable[..., list[dict[str, Any]]]:
    """Makes preferences by the planted rule."""
    return planted


@pytest.fixture(scope="session")
def write() -> Callable[..., Path]:
    """Writes a JSONL file."""
    return write_lines


@pytest.fixture(scope="session")
def lines() -> Callable[[Path], list[dict[str, Any]]]:
    """Reads a JSONL file."""
    return lambda path: [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
