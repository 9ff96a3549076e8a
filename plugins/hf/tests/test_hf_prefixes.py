"""Beginnings that are computed once: how they are found, and that they change no number."""

import asyncio
import random
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    BloomConfig,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    GPTNeoXConfig,
    Lfm2Config,
    LlamaConfig,
    MistralConfig,
    Phi3Config,
    Qwen2Config,
    Qwen3Config,
    Qwen3MoeConfig,
)

from jurist.chat import ChatRequest, Sampling
from jurist.records import Message
from jurist_hf.batching import Item, batches
from jurist_hf.loading import LoadedModel
from jurist_hf.model import TransformersChatModel, TransformersOptions
from jurist_hf.prefixes import Passes, Piece, Prefixes, cost

INSTRUCTIONS = "Which response is better by this standard? Prefer the one that is right, brief and kind. "
CONVERSATIONS = [
    "Human: How do I store a battery over the winter, and how often should I look after it?",
    "Human: 请问哪个回答更好? 评分十分。 And say why, in a few words that anyone understands, please.",
    "Human: Which answer is better, A or B, when both say the same in other words than the other?",
]
RESPONSES = ["Keep it cool and dry.", "The better answer is B, since A is longer than it need be."]
SIZE = {"vocab_size": 300, "hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2}
HEADS = {"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 512}
SPECIAL = {"bos_token_id": 0, "eos_token_id": 2, "pad_token_id": 2}


def both_orders(*choices: str) -> list[ChatRequest]:
    """Three comparisons in both orders, and a request that has nothing to do with them."""
    texts = [
        f"{INSTRUCTIONS}{conversation} A: {a} B: {b} Which is better?"
        for conversation in CONVERSATIONS
        for a, b in (RESPONSES, RESPONSES[::-1])
    ]
    return [
        ChatRequest(messages=(Message(role="user", content=text),), choices=choices)
        for text in [*texts, "评分?"]
    ]


def ids_of(prompts: Any, request: ChatRequest) -> tuple[list[int], list[list[int]]]:
    return prompts.encode_prompt(request), [prompts.encode_text(choice) for choice in request.choices]


def plain_forward(loaded: LoadedModel, request: ChatRequest) -> list[float]:
    """Each choice by a forward pass of its own, without padding or cache."""
    prompt, choices = ids_of(loaded.prompts, request)
    sums = []
    for ids in choices:
        with torch.inference_mode():
            row = torch.tensor([prompt + ids])
            logprobs = loaded.model(row, use_cache=False).logits[0].float().log_softmax(-1)
        sums.append(sum(logprobs[len(prompt) + i - 1, token].item() for i, token in enumerate(ids)))
    return sums


async def measured(
    folder: Path, requests: list[ChatRequest], **options: object
) -> tuple[list[list[float]], list[list[float]], int]:
    """The log-probabilities by the component and one by one, and how many tokens the component computed."""
    model = TransformersChatModel(TransformersOptions(model=str(folder), device="cpu", **options))
    await model.misfit(requests[0])
    loaded = model._loaded
    assert loaded is not None
    tokens: list[int] = []
    embeddings = loaded.model.get_input_embeddings()
    hook = embeddings.register_forward_hook(lambda _module, inputs, _output: tokens.append(inputs[0].numel()))
    replies = await asyncio.gather(*map(model.complete, requests))
    hook.remove()
    expected = [plain_forward(loaded, request) for request in requests]
    await model.close()
    return [list(reply.choice_logprobs or ()) for reply in replies], expected, sum(tokens)


def saved(config: Any, checkpoint: Path, folder: Path) -> Path:
    """A random model of this configuration, whose logits are spread."""
    AutoTokenizer.from_pretrained(checkpoint).save_pretrained(folder)
    torch.manual_seed(0)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.dim() == 2:
                parameter.mul_(6)
    model.save_pretrained(folder)
    return folder


SHARING = {
    "llama": LlamaConfig(**SIZE, **HEADS, **SPECIAL),
    "qwen2": Qwen2Config(**SIZE, **HEADS, **SPECIAL),
    "qwen3": Qwen3Config(**SIZE, **HEADS, **SPECIAL, head_dim=8),
    "qwen3 with experts": Qwen3MoeConfig(
        **SIZE, **HEADS, **SPECIAL, head_dim=8, num_experts=4, num_experts_per_tok=2, moe_intermediate_size=32
    ),
    "gpt2": GPT2Config(vocab_size=300, n_embd=32, n_layer=2, n_head=4, n_positions=512, **SPECIAL),
    "gpt_neox": GPTNeoXConfig(
        **SIZE, num_attention_heads=4, max_position_embeddings=512, bos_token_id=0, eos_token_id=2
    ),
    "phi3": Phi3Config(**SIZE, **HEADS, **SPECIAL, sliding_window=None),
    "mistral": MistralConfig(**SIZE, **HEADS, **SPECIAL, head_dim=8, sliding_window=None),
    "mistral, wide window": MistralConfig(**SIZE, **HEADS, **SPECIAL, head_dim=8, sliding_window=512),
    "gemma2, wide window": Gemma2Config(**SIZE, **HEADS, **SPECIAL, head_dim=8, sliding_window=512),
    "gemma3, wide window": Gemma3TextConfig(**SIZE, **HEADS, **SPECIAL, head_dim=8, sliding_window=512),
}
PLAIN = {
    "mistral, narrow window": MistralConfig(**SIZE, **HEADS, **SPECIAL, head_dim=8, sliding_window=16),
    "gemma3, narrow window": Gemma3TextConfig(**SIZE, **HEADS, **SPECIAL, head_dim=8, sliding_window=16),
    "bloom": BloomConfig(vocab_size=300, hidden_size=32, n_layer=2, n_head=4, **SPECIAL),
    "lfm2": Lfm2Config(**SIZE, **HEADS, **SPECIAL, layer_types=["conv", "full_attention"]),
}


@pytest.mark.parametrize("family", [*SHARING, *PLAIN])
async def test_numbers_are_those_of_the_plain_forward(family: str, checkpoint: Path, tmp_path: Path) -> None:
    folder = saved({**SHARING, **PLAIN}[family], checkpoint, tmp_path)
    requests = both_orders("A", "B", "The answer")
    given, expected, computed = await measured(folder, requests)
    for one, other in zip(given, expected, strict=True):
        assert one == pytest.approx(other, abs=1e-4)
    assert max(abs(row[0] - row[1]) for row in expected) > 0.1
    lengths = [len(ids_of(_encoder(folder), request)[0]) for request in requests]
    assert computed < 0.75 * sum(lengths) if family in SHARING else computed >= sum(lengths)


def _encoder(folder: Path) -> Any:
    from jurist_hf.prompts import load_encoder

    return load_encoder(TransformersOptions(model=str(folder)))


async def test_in_bfloat16_they_are_those_but_for_rounding(checkpoint: Path, tmp_path: Path) -> None:
    folder = saved(SHARING["llama"], checkpoint, tmp_path)
    exact, _, _ = await measured(folder, both_orders("A", "B"))
    given, plain, _ = await measured(folder, both_orders("A", "B"), dtype="bfloat16")
    off = [
        abs(a - b) for one, other in zip(given, exact, strict=True) for a, b in zip(one, other, strict=True)
    ]
    floor = [
        abs(a - b) for one, other in zip(plain, exact, strict=True) for a, b in zip(one, other, strict=True)
    ]
    assert max(off) < 2 * max(floor) + 0.02


async def test_the_next_batch_takes_up_the_beginning(checkpoint: Path, tmp_path: Path) -> None:
    folder = saved(SHARING["qwen3"], checkpoint, tmp_path)
    requests = both_orders("A", "The answer")[:-1]
    model = TransformersChatModel(TransformersOptions(model=str(folder), device="cpu"))
    await model.misfit(requests[0])
    loaded = model._loaded
    assert loaded is not None
    expected = [plain_forward(loaded, request) for request in requests]
    tokens: list[int] = []
    embeddings = loaded.model.get_input_embeddings()
    embeddings.register_forward_hook(lambda _module, inputs, _output: tokens.append(inputs[0].numel()))
    computed = []
    for part in (
        slice(0, 6),
        slice(2, 6),
        slice(0, 2),
        slice(0, 6),
    ):  # the third begins with more than the rest
        tokens.clear()
        replies = await asyncio.gather(*map(model.complete, requests[part]))
        computed.append(tokens[0])
        for reply, logprobs in zip(replies, expected[part], strict=True):
            assert reply.choice_logprobs == pytest.approx(logprobs, abs=1e-4)
    await model.close()
    assert computed[0] > 60
    assert computed[1] == computed[3] == 1
    assert computed[2] < computed[0]


@pytest.mark.parametrize("seed", range(20))
def test_pieces_put_together_are_the_sequences(seed: int) -> None:
    draw = random.Random(seed)
    stems = [draw.choices(range(3), k=draw.randint(0, 60)) for _ in range(4)]
    given = [
        draw.choice(stems) + draw.choice(stems) + draw.choices(range(3), k=draw.randint(1, 9))
        for _ in range(25)
    ]
    given += [ids[: len(ids) // 2 + 1] for ids in given[:5]] + given[:3]
    prefixes = Prefixes(given)
    for passes in (prefixes.shared(), prefixes.alone()):
        whole = _put_together(prefixes, passes)
        for ids, place in zip(given, prefixes.places, strict=True):
            assert whole[place][: len(ids)] == tuple(ids)
    assert sorted(index for family in prefixes.families() for index in family) == list(range(len(given)))


def _put_together(prefixes: Prefixes, passes: Passes) -> dict[int, tuple[int, ...]]:
    rows: list[tuple[int, ...]] = [()]
    whole = {}
    for pieces in passes:
        rows = [rows[piece.parent] + prefixes.tokens(piece) for piece in pieces]
        for piece, row in zip(pieces, rows, strict=True):
            assert len(row) == piece.end
            if len(piece.members) == 1:
                whole[piece.members[0]] = row
    return whole


def test_a_beginning_is_shared_where_that_saves_enough() -> None:
    instructions, one, other = [0] * 40, [1] * 33, [2] * 31
    given = [[*instructions, *stem, *rest] for stem in (one, other) for rest in ([7, 8], [9, 9, 9])]
    prefixes = Prefixes(given)
    assert prefixes.shared() == [
        [Piece(range(4), 0, 40, 0)],
        [Piece(range(2), 40, 73, 0), Piece(range(2, 3), 40, 73, 0), Piece(range(3, 4), 40, 74, 0)],
        [Piece(range(1), 73, 75, 0), Piece(range(1, 2), 73, 76, 0)],
    ]
    assert prefixes.families() == [[0, 1], [2], [3]]
    assert cost(prefixes.shared()) == (40 + 32) + (3 * 34 + 32) + (2 * 3 + 32)
    assert cost(prefixes.alone()) == 4 * 76 + 32


def test_what_begins_another_is_covered_by_it() -> None:
    prefixes = Prefixes([[1, 2], [3], [1], [1, 2, 3], [1, 2]])
    assert prefixes.sequences == [(1, 2, 3), (3,)]
    assert prefixes.places == [0, 1, 0, 0, 0]


def item(prompt: list[int], *choices: list[int], max_tokens: int = 1) -> Item:
    message = Message(role="user", content="x")
    request = ChatRequest(messages=(message,), sampling=Sampling(max_tokens=max_tokens))
    return Item(request, prompt, list(choices))


@pytest.mark.parametrize("size", [2, 3, 5, 16])
def test_both_orders_are_in_one_batch(size: int) -> None:
    draw = random.Random(size)
    pairs = []
    for _ in range(30):
        stem = [0] * 50 + draw.choices(range(99), k=60)
        pairs += [item(stem + draw.choices(range(99), k=draw.randint(20, 25)), [1], [2]) for _ in range(2)]
    order = draw.sample(range(60), k=60)
    found = list(batches([pairs[n] for n in order], size, 10**6))
    assert sorted(place for batch in found for place in batch) == list(range(60))
    assert max(map(len, found)) == size - size % 2
    for batch in found:
        assert sorted(order[place] ^ 1 for place in batch) == sorted(order[place] for place in batch)


def test_a_batch_has_so_many_tokens_and_like_lengths() -> None:
    draw = random.Random(0)
    scored = [item(draw.choices(range(99), k=draw.randint(1, 300)), [1], [2, 3], [4, 5]) for _ in range(50)]
    written = [item(draw.choices(range(99), k=draw.randint(1, 300)), max_tokens=100) for _ in range(50)]
    for items, rows, more in ((scored, 2, 2), (written, 1, 100)):
        found = list(batches(items, 16, 2000))
        assert sorted(place for batch in found for place in batch) == list(range(50))
        sizes = [len(batch) * rows * (max(len(items[n].prompt) for n in batch) + more) for batch in found]
        assert max(sizes) <= 2000
        longest = [[len(items[n].prompt) for n in batch] for batch in found]
        assert all(max(one) <= min(other) for one, other in pairwise(longest))
    assert list(batches([item([1] * 3000, [1])], 16, 2000)) == [[0]]
