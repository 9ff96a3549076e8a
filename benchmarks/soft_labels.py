"""Soft against hard labels: which reward model finds the better of two responses more often.

    python benchmarks/soft_labels.py [--seeds N] [--pairs N] [--noise X]

A made-up world whose truth is known: a response is ten words, each of a worth drawn once, and the better of
two responses has the greater sum. The judge sees the difference of the sums with Gaussian noise, as large as
the differences themselves unless ``--noise`` says otherwise, and says how probable it is that the chosen
response is better: the posterior, so that its labels are calibrated. Hard labels are the same, rounded to 1.
Both reward models start from the same weights, and learn by ``trl-reward`` from the same pairs in the same
order; both are asked about other pairs, where the truth decides. Needs no data; about two minutes on a core.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from tokenizers import Tokenizer, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast, logging

from jurist.train_jobs import TrainJob
from jurist_trl.reward_model import RewardModel
from jurist_trl.supervised.reward import Reward, RewardOptions

WORDS = [f"word{number}" for number in range(64)]
LENGTH = 10
TEST_PAIRS = 2000
PROMPT = [{"role": "user", "content": "write"}]
TEMPLATE = (
    "{% for m in messages %}<{{ m.role }}> {{ m.content }}{% if m.role == 'assistant' %}<eos>{% endif %} "
    "{% endfor %}{% if add_generation_prompt %}<assistant> {% endif %}"
)


class Judged(NamedTuple):
    """Two responses, and the judge's probability that the first is better."""

    one: str
    other: str
    probability: float


class Agreement(NamedTuple):
    """How often the reward models of one seed find the truly better response."""

    soft: float
    hard: float


class World:
    """What words are worth, and a judge that sees the worth of responses with noise."""

    def __init__(self, seed: int, noise: float) -> None:
        self.draw = random.Random(seed)
        self.worth = {word: self.draw.gauss(0, 1) for word in WORDS}
        self.spread = math.sqrt(2 * LENGTH) * statistics.pstdev(self.worth.values())
        self.noise = noise * self.spread

    def responses(self) -> tuple[str, str]:
        """Two responses to compare."""
        one, other = (" ".join(self.draw.choices(WORDS, k=LENGTH)) for _ in range(2))
        return one, other

    def difference(self, one: str, other: str) -> float:
        """How much better the first one truly is; about Gaussian, with deviation ``spread``."""
        return sum(self.worth[word] for word in one.split()) - sum(self.worth[word] for word in other.split())

    def judged(self) -> Judged:
        """Two responses with P(first is better), given their difference plus noise."""
        one, other = self.responses()
        seen = self.difference(one, other) + self.draw.gauss(0, self.noise)
        sureness = self.spread / (self.noise * math.hypot(self.spread, self.noise))
        return Judged(one, other, statistics.NormalDist().cdf(seen * sureness))


def main() -> None:
    """Compare both kinds of label on each seed, and print their means."""
    arguments = parsed()
    logging.disable_progress_bar()
    logging.set_verbosity_error()
    torch.set_num_threads(1)
    print(f"{arguments.pairs} pairs to train on, {TEST_PAIRS} to test on, noise {arguments.noise}")
    found = []
    for seed in range(arguments.seeds):
        with tempfile.TemporaryDirectory() as folder:
            found.append(compare(seed, arguments.pairs, arguments.noise, Path(folder)))
        print(f"seed {seed}: soft {found[-1].soft:.4f}, hard {found[-1].hard:.4f}", flush=True)
    print(summary(found))


def parsed() -> argparse.Namespace:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--pairs", type=int, default=1000)
    parser.add_argument("--noise", type=float, default=1.0)
    return parser.parse_args()


def compare(seed: int, pairs: int, noise: float, folder: Path) -> Agreement:
    """Agreement with the truth of a reward model on soft labels, and of one on hard labels."""
    world = World(seed, noise)
    judged = [world.judged() for _ in range(pairs)]
    test = [world.responses() for _ in range(TEST_PAIRS)]
    base = untrained(seed, folder / "base")
    agreements = {}
    for kind in ("soft", "hard"):
        data = folder / f"{kind}.jsonl"
        rows = (row(each, soft=kind == "soft") for each in judged)
        data.write_text("".join(json.dumps(each) + "\n" for each in rows), encoding="utf-8")
        options = RewardOptions(learning_rate=1e-3, batch_size=16, epochs=3, eval_fraction=0, save_steps=1000)
        job = TrainJob(model=base, data=data, output=folder / kind, seed=seed)
        trained = Reward(options).train(job, lambda _: None)
        agreements[kind] = agreement(world, RewardModel(trained.path, batch_size=200), test)
    return Agreement(**agreements)


def row(judged: Judged, *, soft: bool) -> dict[str, Any]:
    """A preference for the likelier response."""
    first, probability = judged.probability > 0.5, max(judged.probability, 1 - judged.probability)
    return {
        "prompt": PROMPT,
        "chosen": [{"role": "assistant", "content": judged.one if first else judged.other}],
        "rejected": [{"role": "assistant", "content": judged.other if first else judged.one}],
        "probability": probability if soft else 1.0,
    }


def agreement(world: World, model: RewardModel, test: Sequence[tuple[str, str]]) -> float:
    """The share of pairs whose truly better response scores higher."""
    scores = model.score([PROMPT] * 2 * len(test), [text for pair in test for text in pair])
    right = [
        (one > other) == (world.difference(*pair) > 0)
        for pair, one, other in zip(test, scores[::2], scores[1::2], strict=True)
    ]
    return statistics.fmean(right)


def untrained(seed: int, folder: Path) -> Path:
    """A Llama of two layers with random weights, and a tokenizer of whole words."""
    special = ["<pad>", "<eos>", "<unk>", "<user>", "<assistant>"]
    vocabulary = {word: number for number, word in enumerate([*special, "write", *WORDS])}
    words = Tokenizer(models.WordLevel(vocabulary, unk_token="<unk>"))
    words.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words,
        eos_token="<eos>",
        unk_token="<unk>",
        pad_token="<pad>",
        additional_special_tokens=["<user>", "<assistant>"],
    )
    tokenizer.chat_template = TEMPLATE
    torch.manual_seed(seed)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=32,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
        bos_token_id=None,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def summary(found: Sequence[Agreement]) -> str:
    """Means over the seeds, and the paired difference with its standard error."""
    gains = [each.soft - each.hard for each in found]
    error = statistics.stdev(gains) / math.sqrt(len(gains)) if len(gains) > 1 else math.nan
    soft, hard = (statistics.fmean(column) for column in zip(*found, strict=True))
    return f"mean: soft {soft:.4f}, hard {hard:.4f}; soft - hard {statistics.fmean(gains):+.4f} ± {error:.4f}"


if __name__ == "__main__":
    main()
