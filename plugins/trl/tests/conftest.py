"""Tiny models, tokenizers and datasets, made on the spot."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
os.environ.setdefault("HF_HUB_OFFLINE", "1")

WORDS = ["red", "green", "blue", "one", "two", "three", "yes", "no", "good", "bad", "what", "is", "the"]
WORDS += ["say", "colour", "number", "please", "maybe"]
TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}> {{ m.content }}{% if m.role == 'assistant' %}<eos>{% endif %} "
    "{% endfor %}{% if add_generation_prompt %}<assistant> {% endif %}"
)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def build_tokenizer(*, pad: str | None = "<pad>", template: str | None = TEMPLATE) -> Any:
    from tokenizers import Tokenizer, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    special = ["<pad>", "<eos>", "<unk>", "<user>", "<assistant>", "<system>"]
    vocabulary = {word: i for i, word in enumerate([*special, *WORDS])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    fast = PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        eos_token="<eos>",
        unk_token="<unk>",
        pad_token=pad,
        additional_special_tokens=["<user>", "<assistant>", "<system>"],
    )
    fast.chat_template = template
    return fast


@pytest.fixture(scope="session")
def make_policy(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Build a 2-layer Llama with a word tokenizer and save it; returns its folder."""

    def make(*, seed: int = 0, **tokenizer_options: Any) -> Path:
        import torch
        from transformers import LlamaConfig, LlamaForCausalLM

        tokenizer = build_tokenizer(**tokenizer_options)
        torch.manual_seed(seed)
        config = LlamaConfig(
            vocab_size=len(tokenizer),
            hidden_size=64,
            intermediate_size=96,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=128,
            initializer_range=0.08,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
            bos_token_id=None,
        )
        folder = tmp_path_factory.mktemp("policy")
        LlamaForCausalLM(config).save_pretrained(folder)
        tokenizer.save_pretrained(folder)
        return folder

    return make


@pytest.fixture(scope="session")
def policy(make_policy: Callable[..., Path]) -> Path:
    return make_policy()


def turns(role: str, text: str) -> list[dict[str, str]]:
    return [{"role": role, "content": text}]


def write_lines(path: Path, rows: list[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


@pytest.fixture(scope="session")
def revisions(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [
        {
            "prompt": turns("user", f"say {WORDS[i % 6]} please"),
            "completion": turns("assistant", f"{WORDS[i % 6]} good"),
        }
        for i in range(24)
    ]
    return write_lines(tmp_path_factory.mktemp("data") / "revisions.jsonl", rows)


@pytest.fixture(scope="session")
def preferences(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Responses with 'good' in them are better than those with 'bad'; the judges are 90% sure."""
    rows = [
        {
            "prompt": turns("user", f"what is the {WORDS[i % 6]} {WORDS[i % 8]} {WORDS[i % 10]}"),
            "chosen": turns("assistant", f"good {WORDS[i % 5]}" + " maybe" * (i % 3)),
            "rejected": turns("assistant", f"bad {WORDS[i % 7]}"),
            "probability": 0.9,
            "aggregator": "majority",
        }
        for i in range(96)
    ]
    return write_lines(tmp_path_factory.mktemp("data") / "preferences.jsonl", rows)


@pytest.fixture(scope="session")
def prompts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [{"prompt": turns("user", f"say {word} please")} for word in WORDS[:12]]
    return write_lines(tmp_path_factory.mktemp("data") / "prompts.jsonl", rows)


@pytest.fixture
def weights() -> Callable[[Path], dict[str, Any]]:
    """Read the tensors of a checkpoint folder."""

    def read(folder: Path) -> dict[str, Any]:
        from safetensors.torch import load_file

        return dict(load_file(folder / "model.safetensors"))

    return read


class Killed(Exception):
    """Stands for a crash in the middle of training."""


@pytest.fixture
def kill_at() -> Callable[[int], Callable[[Any], None]]:
    """A progress callback that crashes the training after a step's metrics are logged."""

    def at(step: int) -> Callable[[Any], None]:
        def progress(seen: Any) -> None:
            if seen.step == step:
                raise Killed(f"at step {step}")

        return progress

    return at
