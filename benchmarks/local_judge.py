"""A local judge in both orders: jurist-hf beside what one would write by hand with transformers.

    python benchmarks/local_judge.py                    # a Qwen3 of 9.8 million random weights, on one thread
    python benchmarks/local_judge.py --device cuda --model Qwen/Qwen3-8B --dtype bfloat16

All methods get the same prompts, those of core's judge, and take turns. Rates are per second of CPU time,
which other processes disturb less; on other devices per second. The methods written by hand get token ids;
jurist-hf gets messages, one call each, and its time includes templates, tokens and batching.
"""

from __future__ import annotations

import argparse
import asyncio
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

import random
import re
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast, Qwen3Config, Qwen3ForCausalLM
from transformers.utils import logging

from jurist.chat import ChatReply, ChatRequest
from jurist.constitution import Constitution
from jurist.contracts import ChatModel
from jurist.judges.orders import BothOrders
from jurist.records import Comparison, Judgment, Prompt, Response
from jurist.roles import ChatJudge
from jurist_hf.loading import LoadedModel, load_model
from jurist_hf.model import TransformersChatModel, TransformersOptions

NEW_TOKENS = 8
BATCH = 16
CHATML = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{{ m.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
PRINCIPLES = Constitution.load("default").select(["quality"])
Scores = list[tuple[float, ...]]


def main() -> None:
    """Measure all methods by turns, and print what each is worth."""
    arguments = parsed()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    torch.set_num_threads(arguments.threads)
    with tempfile.TemporaryDirectory() as folder:
        name = arguments.model or str(make_model(Path(folder)))
        options = TransformersOptions(
            model=name, device=arguments.device, dtype=arguments.dtype, batch_size=BATCH
        )
        if arguments.only:
            Methods(options, arguments.pairs).named[arguments.only]()
            print(re.search(r"VmHWM:\s*(\d+)", Path("/proc/self/status").read_text())[1])
        else:
            compare(options, arguments)


def parsed() -> argparse.Namespace:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", help="a folder or hub id; by default one made on the spot")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--dtype", default="auto")
    parser.add_argument("--pairs", type=int, default=64)
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--only", help="run this method once and print the peak memory, in kB")
    return parser.parse_args()


def compare(options: TransformersOptions, arguments: argparse.Namespace) -> None:
    """Print a row per method: pairs per second, ratios, memory; and how far the scores are apart."""
    methods = Methods(options, arguments.pairs)
    lengths = [len(row) for row in methods.prompts]
    print(
        f"{arguments.pairs} pairs in both orders, prompts of {min(lengths)} to {max(lengths)} tokens, ",
        end="",
    )
    print(f"{statistics.mean(lengths):.0f} on average; {options.device}, {arguments.threads} thread(s)")
    clock = time.process_time if options.device == "cpu" else time.perf_counter
    rates: dict[str, list[float]] = {name: [] for name in methods.named}
    scores: dict[str, Scores] = {}
    for name, method in methods.named.items():
        scores[name] = method()  # not counted: the first call loads and warms up
    for _ in range(arguments.repeats):
        for name, method in methods.named.items():
            started = clock()
            method()
            rates[name].append(arguments.pairs / (clock() - started))
    medians = {name: statistics.median(found) for name, found in rates.items()}
    print(f"{'':<34} pairs/s   x generate   x forward   peak MB")
    for name, rate in medians.items():
        ratios = rate / medians["batched generate"], rate / medians["batched forward"]
        print(f"{name:<34} {rate:7.2f} {ratios[0]:12.2f} {ratios[1]:11.2f} {peak(name, arguments):9.0f}")
    pairs = zip(scores["batched forward"], scores["jurist-hf"], strict=True)
    apart = max(abs(a - b) for one, other in pairs for a, b in zip(one, other, strict=True))
    print(f"largest difference of a log-probability between jurist-hf and the batched forward: {apart:.1e}")


def peak(name: str, arguments: argparse.Namespace) -> float:
    """The peak memory of a process of its own that runs one method once, in MB."""
    command = [sys.executable, __file__, "--only", name, "--pairs", str(arguments.pairs)]
    command += ["--device", arguments.device, "--dtype", arguments.dtype, "--threads", str(arguments.threads)]
    command += ["--model", arguments.model] if arguments.model else []
    return (
        float(subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True).stdout.split()[-1])
        / 1024
    )


class Methods:
    """The ways of judging; each judges all comparisons in both orders."""

    def __init__(self, options: TransformersOptions, pairs: int) -> None:
        self.options = options
        self.comparisons = comparisons(pairs)
        self.requests = asked(self.comparisons)
        self.loaded: LoadedModel = load_model(options)
        prompts = [self.loaded.prompts.encode_prompt(request) for request in self.requests]
        self.prompts = prompts
        self.choices = [self.loaded.prompts.encode_text(choice)[0] for choice in ("A", "B")]
        self.by_length = sorted(range(len(prompts)), key=lambda index: len(prompts[index]))
        self.named: dict[str, Callable[[], Scores]] = {
            "generate, one by one": lambda: self.generate(1),
            "batched generate": lambda: self.generate(BATCH),
            "batched forward": self.forward,
            "jurist-hf": lambda: asyncio.run(self.complete()),
            "jurist-hf, with core's judge": lambda: asyncio.run(self.judge()),
        }

    @torch.inference_mode()
    def generate(self, size: int) -> Scores:
        """Write an answer of a few tokens to every prompt, in batches of like length."""
        for ids, mask, _ in self.batches(size):
            self.loaded.model.generate(
                input_ids=ids, attention_mask=mask, max_new_tokens=NEW_TOKENS, do_sample=False
            )
        return []

    @torch.inference_mode()
    def forward(self) -> Scores:
        """The log-probabilities of A and B by one forward pass per batch of like length."""
        scores: Scores = [()] * len(self.prompts)
        for ids, mask, indices in self.batches(BATCH):
            positions = (mask.cumsum(-1) - 1).clamp(min=0)
            output = self.loaded.model(
                input_ids=ids, attention_mask=mask, position_ids=positions, logits_to_keep=1, use_cache=False
            )
            logprobs = output.logits[:, -1].float().log_softmax(-1)[:, self.choices]
            for index, row in zip(indices, logprobs.tolist(), strict=True):
                scores[index] = tuple(row)
        return scores

    async def complete(self) -> Scores:
        """All requests at once to jurist-hf's chat model."""
        model = self.chat_model()
        replies = await asyncio.gather(*map(model.complete, self.requests))
        return [reply.choice_logprobs or () for reply in replies]

    async def judge(self) -> Scores:
        """All comparisons at once to core's judge in both orders, on jurist-hf's chat model."""
        judge = BothOrders(ChatJudge(self.chat_model()))
        outcomes = await asyncio.gather(*(judge.judge(pair, PRINCIPLES) for pair in self.comparisons))
        return [(outcome.preference,) for outcome in outcomes if isinstance(outcome, Judgment)]

    def chat_model(self) -> TransformersChatModel:
        """The component, with the weights that the others use."""
        model = TransformersChatModel(self.options)
        model._loaded = self.loaded
        return model

    def batches(self, size: int) -> Any:
        """Token ids, attention mask and places of prompts of like length."""
        for start in range(0, len(self.by_length), size):
            indices = self.by_length[start : start + size]
            yield *self.loaded.padded([self.prompts[index] for index in indices]), indices


class Recorder(ChatModel):
    """Keeps the requests that it gets."""

    capabilities = frozenset({"logprobs"})

    def __init__(self) -> None:
        super().__init__()
        self.requests: list[ChatRequest] = []

    async def complete(self, request: ChatRequest) -> ChatReply:
        """No answer of use."""
        self.requests.append(request)
        return ChatReply(choice_logprobs=(0.0,) * len(request.choices))


def asked(pairs: Sequence[Comparison]) -> list[ChatRequest]:
    """What core's judge asks about the comparisons, in both orders."""
    recorder = Recorder()

    async def ask() -> None:
        judge = BothOrders(ChatJudge(recorder))
        await asyncio.gather(*(judge.judge(pair, PRINCIPLES) for pair in pairs))

    asyncio.run(ask())
    return recorder.requests


def comparisons(count: int) -> list[Comparison]:
    """Conversations of several turns with two short answers, in words drawn at random."""
    draw = random.Random(0)
    words = vocabulary()

    def said(low: int, high: int) -> str:
        return " ".join(draw.choices(words, k=draw.randint(low, high))).capitalize() + "."

    def conversation() -> Prompt:
        roles = ("user", "assistant", "user")
        return Prompt(messages=[{"role": role, "content": said(12, 32)} for role in roles])

    return [
        Comparison(
            prompt=conversation(),
            response_a=Response(text=said(15, 35)),
            response_b=Response(text=said(15, 35)),
        )
        for _ in range(count)
    ]


def vocabulary() -> list[str]:
    """Two thousand words of one to three syllables."""
    draw = random.Random(1)
    syllables = [a + b for a in "bdfgklmnprstvz" for b in ("a", "e", "i", "o", "u", "an", "er", "is")]
    return ["".join(draw.choices(syllables, k=draw.randint(1, 3))) for _ in range(2000)]


def make_model(folder: Path) -> Path:
    """A Qwen3 of 9.8 million random weights, and a tokenizer of the words used."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=8000,
        special_tokens=["<|endoftext|>", "<|im_start|>", "<|im_end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    texts = [request.messages[-1].content for request in asked(comparisons(200))]
    tokenizer.train_from_iterator(texts, trainer)
    fast = PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token="<|im_end|>")
    fast.chat_template = CHATML
    fast.save_pretrained(folder)
    torch.manual_seed(0)
    config = Qwen3Config(
        vocab_size=8000,
        hidden_size=256,
        intermediate_size=768,
        num_hidden_layers=10,
        num_attention_heads=4,
        num_key_value_heads=2,
        head_dim=64,
        max_position_embeddings=2048,
        eos_token_id=2,
        tie_word_embeddings=True,
    )
    Qwen3ForCausalLM(config).save_pretrained(folder)
    return folder


if __name__ == "__main__":
    main()
