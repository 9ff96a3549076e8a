"""Trains the demo's base model from nothing: tokenizer, then a Llama of 0.6 million parameters.

``python -m jurist_demo.base --train-base --seed 0 --out DIR`` takes about two CPU minutes.
"""

from __future__ import annotations

import argparse
import os
import random
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from jurist_demo.corpus import CONVERSATIONS, Turn, corpus

if TYPE_CHECKING:
    import torch
    from transformers import LlamaForCausalLM, PreTrainedTokenizerFast

VOCABULARY = 1536
BATCH = 32
PASSES = 2
LEARNING_RATE = 5e-3
USER_WEIGHT = 0.5
"""Weight in the loss of what the user says: predicting that too teaches the model to read it."""
INIT_STD = 0.08
PAD, USER, ASSISTANT, END = "<|pad|>", "<|user|>", "<|assistant|>", "<|end|>"
CHAT_TEMPLATE = (
    "{% for message in messages %}{% if message['role'] == 'assistant' %}<|assistant|>"
    "{% generation %}{{ message['content'] }}<|end|>{% endgeneration %}"
    "{% else %}<|user|>{{ message['content'] }}<|end|>{% endif %}{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>{% endif %}"
)


def train_tokenizer(turns: Sequence[Turn]) -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer with a chat template; the end of a turn is the end of text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, USER, ASSISTANT, END],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator((text for turn in turns for text in (turn.user, turn.assistant)), trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        eos_token=END,
        chat_template=CHAT_TEMPLATE,
        model_max_length=256,
        padding_side="left",
    )


def new_model(tokenizer: PreTrainedTokenizerFast) -> LlamaForCausalLM:
    """An untrained model: Llama, 2 layers of 128, 4 heads."""
    from transformers import LlamaConfig, LlamaForCausalLM

    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=128,
            intermediate_size=384,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=256,
            tie_word_embeddings=True,
            initializer_range=INIT_STD,
            bos_token_id=None,
            eos_token_id=tokenizer.convert_tokens_to_ids(END),
            pad_token_id=tokenizer.convert_tokens_to_ids(PAD),
        )
    )


def encode(tokenizer: PreTrainedTokenizerFast, turn: Turn) -> tuple[list[int], int]:
    """The ids of one turn, and where the model's part begins."""
    prompt = tokenizer(f"{USER}{turn.user}{END}{ASSISTANT}")["input_ids"]
    return prompt + tokenizer(f"{turn.assistant}{END}")["input_ids"], len(prompt)


def batches(
    encoded: Sequence[tuple[list[int], int]], seed: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Ids and the weight of each in the loss, of turns of like length, in random order."""
    import torch

    rng = random.Random(seed)
    order = list(range(len(encoded)))
    rng.shuffle(order)
    chunks = []
    for start in range(0, len(order), 16 * BATCH):
        window = sorted(order[start : start + 16 * BATCH], key=lambda i: len(encoded[i][0]))
        parts = [window[i : i + BATCH] for i in range(0, len(window), BATCH)]
        rng.shuffle(parts)
        chunks += parts
    for chunk in chunks:
        width = max(len(encoded[i][0]) for i in chunk)
        ids = torch.zeros(len(chunk), width, dtype=torch.long)
        weights = torch.zeros(len(chunk), width)
        for row, i in enumerate(chunk):
            tokens, begin = encoded[i]
            ids[row, : len(tokens)] = torch.tensor(tokens)
            weights[row, :begin] = USER_WEIGHT
            weights[row, begin : len(tokens)] = 1.0
        yield ids, weights


def weighted_loss(logits: torch.Tensor, ids: torch.Tensor, weights: torch.Tensor) -> torch.Tensor:
    """Weighted mean cross-entropy of every next token; shapes (batch, time, words), (batch, time) twice."""
    from torch.nn.functional import cross_entropy

    counted = weights[:, 1:] > 0
    losses = cross_entropy(logits[:, :-1][counted], ids[:, 1:][counted], reduction="none")
    shares: torch.Tensor = weights[:, 1:][counted]
    return (losses * shares).sum() / shares.sum()


def train(
    model: LlamaForCausalLM, encoded: Sequence[tuple[list[int], int]], seed: int, steps: int | None = None
) -> list[float]:
    """All passes over the turns (or ``steps`` batches); the loss of every step."""
    import torch

    data = [batch for i in range(PASSES) for batch in batches(encoded, PASSES * seed + i)][:steps]
    optimizer = torch.optim.AdamW(model.parameters(), lr=LEARNING_RATE, betas=(0.9, 0.98), weight_decay=0.01)
    warm_up = max(1, len(data) // 20)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: min((step + 1) / warm_up, (len(data) - step) / (len(data) - warm_up + 1))
    )
    losses = []
    model.train()
    for ids, weights in data:
        loss = weighted_loss(model(input_ids=ids).logits, ids, weights)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    return losses


def train_base(
    seed: int, out: Path, conversations: int = CONVERSATIONS, steps: int | None = None
) -> list[float]:
    """Make corpus, tokenizer and model, and write the model in half precision to ``out``."""
    import torch

    torch.manual_seed(seed)
    turns = corpus(seed, conversations)
    tokenizer = train_tokenizer(turns)
    model = new_model(tokenizer)
    losses = train(model, [encode(tokenizer, turn) for turn in turns], seed, steps)
    model.half().save_pretrained(out)
    tokenizer.save_pretrained(out)
    return losses


def main() -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(description="Train the demo's base model.")
    parser.add_argument("--train-base", action="store_true", required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True)
    arguments = parser.parse_args()
    begun = time.process_time()
    losses = train_base(arguments.seed, arguments.out)
    tail = sum(losses[-50:]) / len(losses[-50:])
    print(f"{len(losses)} steps, final loss {tail:.3f}, {time.process_time() - begun:.0f} CPU seconds")  # noqa: T201


if __name__ == "__main__":
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    main()
