"""A labeler trained on 1,800 human preferences about harmlessness, measured on 512 others.

    python benchmarks/labeler.py [--head cross_encoder] [--seed N]
    python benchmarks/labeler.py --base FOLDER_OR_HUB_ID --learning-rate 2e-5 --max-length 512

Without ``--base`` it starts from nothing: one layer of ModernBERT with random weights, and a tokenizer of the
words of the training texts. Needs HH-RLHF in the folder of public data: JURIST_DATA, else ../shared/data.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import json
import os
import re
import tempfile
import time
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy
from scipy.optimize import minimize
from scipy.sparse import csr_matrix

from jurist.files.training_data import PreferenceRow
from jurist.records import Comparison, Judgment, Prompt, Response
from jurist.train_jobs import TrainJob
from jurist_classifier.agreement import accuracy, longer
from jurist_classifier.calibration import calibration_error
from jurist_classifier.judge import ClassifierJudge, ClassifierJudgeOptions
from jurist_classifier.labeler import Labeler
from jurist_classifier.pairs import Pair
from jurist_classifier.trainer import ClassifierOptions, ClassifierTrainer

TRAIN = 1800
ROLES = {"Human": "user", "Assistant": "assistant"}
WORD = re.compile(r"[a-z']+|\d+|[^\sa-z\d]")


def main() -> None:
    """Train, and print what was measured beside three yardsticks."""
    arguments = parsed()
    rows = list(hh_rlhf())
    train, test = rows[:TRAIN], rows[TRAIN:]
    print(f"{len(train)} pairs to train on, {len(test)} to test on, seed {arguments.seed}")
    show("longer response", longer(test))
    show("shorter response", [-margin for margin in longer(test)])
    show("logistic regression", word_margins(train, test))
    with tempfile.TemporaryDirectory() as folder:
        measure(train, test, arguments, Path(folder))


def parsed() -> argparse.Namespace:
    """The command's arguments."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--base", help="the checkpoint to start from; by default one made on the spot")
    parser.add_argument("--head", default="bradley_terry", choices=["bradley_terry", "cross_encoder"])
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--learning-rate", type=float, default=1e-3)
    parser.add_argument("--max-length", type=int, default=96)
    return parser.parse_args()


def hh_rlhf() -> Iterator[PreferenceRow]:
    """The preferences, in the order of the file: what both transcripts begin with, and how each goes on."""
    root = os.environ.get("JURIST_DATA") or Path(__file__).parents[2] / "shared" / "data"
    with gzip.open(Path(root) / "hh_rlhf" / "harmless-base-test.jsonl.gz", "rt", encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            chosen, rejected = turns(row["chosen"]), turns(row["rejected"])
            pairs = zip(chosen, rejected, strict=False)
            shared = next((i for i, (one, other) in enumerate(pairs) if one != other), len(chosen) - 1)
            shared -= chosen[shared - 1][0] == "assistant"
            yield PreferenceRow.model_validate(
                {
                    "prompt": [{"role": role, "content": text} for role, text in chosen[:shared]],
                    "chosen": "\n\n".join(text for _, text in chosen[shared:]),
                    "rejected": "\n\n".join(text for _, text in rejected[shared:]),
                }
            )


def turns(transcript: str) -> list[tuple[str, str]]:
    """Who says what in a transcript."""
    parts = re.split(r"\n\n(Human|Assistant): ?", transcript)[1:]
    return [(ROLES[who], text) for who, text in zip(parts[::2], parts[1::2], strict=True)]


def measure(
    train: Sequence[PreferenceRow], test: Sequence[PreferenceRow], arguments: Any, folder: Path
) -> None:
    """Train a labeler in ``folder``, and have it judge the other pairs in both orders."""
    started, cpu = time.monotonic(), time.process_time()
    base = arguments.base or make_base(train, folder / "base", arguments.seed)
    data = folder / "human.jsonl"
    data.write_text("".join(row.to_json() + "\n" for row in train), encoding="utf-8")
    options = ClassifierOptions(
        head=arguments.head,
        learning_rate=arguments.learning_rate,
        max_length=arguments.max_length,
        batch_size=32,
        weight_decay=0.1,
        epochs=3,
        eval_steps=20,
        calibration_fraction=0.2,
        test_fraction=0.03,  # the 512 pairs are a test of their own
    )
    job = TrainJob(model=Path(base), data=data, output=folder / "out", seed=arguments.seed)
    artifact = ClassifierTrainer(options).train(job, lambda progress: None)
    seconds, cpu = time.monotonic() - started, time.process_time() - cpu

    found = artifact.metrics
    margins = Labeler.load(artifact.path).margins(
        [Pair(row.prompt, row.chosen, row.rejected) for row in test]
    )
    show(f"labeler ({arguments.head})", margins)
    before, after = (
        calibration_error([margin / heat for margin in margins], [1.0] * len(margins))
        for heat in (1, found["temperature"])
    )
    first, second = asyncio.run(judged(artifact.path, test))
    flips = sum((p > 0.5) == (q > 0.5) for p, q in zip(first, second, strict=True) if p != 0.5)
    print(f"calibration error: {before:.3f}, with T = {found['temperature']:.2f} {after:.3f}")
    print(f"flipped when the order is swapped: {flips} of {len(test)}")
    print("its own test part: {accuracy:.3f} [{accuracy_low:.3f}, {accuracy_high:.3f}]".format(**found))
    print(
        f"training: {seconds:.0f} s, {cpu:.0f} CPU s; {found['steps']:.0f} steps, the best was "
        f"{found['best_step']:.0f}; {found['peak_memory_mb']:.0f} MB; {found['pairs_per_second']:.0f} pairs/s"
    )


async def judged(model: Path, rows: Sequence[PreferenceRow]) -> tuple[list[float], list[float]]:
    """P(the response shown first is better), with the chosen one first and with the rejected one first."""
    judge = ClassifierJudge(ClassifierJudgeOptions(model=model))
    pairs = [
        Comparison(
            prompt=Prompt(messages=row.prompt),
            response_a=Response(text=row.chosen[0].content),
            response_b=Response(text=row.rejected[0].content),
        )
        for row in rows
    ]
    asked = [judge.judge(pair, ()) for pair in (*pairs, *(pair.swapped() for pair in pairs))]
    outcomes = await asyncio.gather(*asked)
    await judge.close()
    preferences = [outcome.preference for outcome in outcomes if isinstance(outcome, Judgment)]
    return preferences[: len(pairs)], preferences[len(pairs) :]


def word_margins(train: Sequence[PreferenceRow], test: Sequence[PreferenceRow]) -> list[float]:
    """Margins by a logistic regression on differences of log word counts: what words alone tell."""

    def counts(turns: Any) -> Counter[str]:
        return Counter(WORD.findall(turns[0].content.lower()))

    rows = [(counts(row.chosen), counts(row.rejected)) for row in (*train, *test)]
    frequency = Counter(word for pair in rows[: len(train)] for one in pair for word in one)
    known = {word: i for i, word in enumerate(w for w, count in frequency.items() if count >= 3)}
    cells = [
        (i, known[word], sign * numpy.log1p(count))
        for i, pair in enumerate(rows)
        for sign, one in zip((1, -1), pair, strict=True)
        for word, count in one.items()
        if word in known
    ]
    row, column, value = zip(*cells, strict=True)
    all_rows = csr_matrix((value, (row, column)), shape=(len(rows), len(known)))
    features, others = all_rows[: len(train)], all_rows[len(train) :]

    def loss(weights: Any) -> tuple[float, Any]:
        margins = features @ weights
        slope = -features.T @ (1 / (1 + numpy.exp(margins))) / len(train)
        return numpy.logaddexp(0, -margins).mean() + 0.015 * weights @ weights, slope + 0.03 * weights

    weights = minimize(loss, numpy.zeros(len(known)), jac=True, method="L-BFGS-B").x
    return list(others @ weights)


def make_base(rows: Sequence[PreferenceRow], folder: Path, seed: int) -> Path:
    """A ModernBERT of one layer with random weights, read at the mean of its tokens, and its tokenizer."""
    import torch
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, trainers
    from transformers import ModernBertConfig, ModernBertModel, PreTrainedTokenizerFast

    texts = [turn.content for row in rows for turn in (*row.prompt, *row.chosen, *row.rejected)]
    words = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    words.normalizer = normalizers.Lowercase()
    words.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Punctuation()]
    )
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    words.train_from_iterator(
        texts,
        trainers.WordLevelTrainer(
            vocab_size=3000, min_frequency=2, special_tokens=special, show_progress=False
        ),
    )
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    config = ModernBertConfig(
        vocab_size=len(tokenizer),
        hidden_size=64,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=512,
        classifier_pooling="mean",
        embedding_dropout=0.5,
        mlp_dropout=0.5,
        classifier_dropout=0.5,
        pad_token_id=0,
        cls_token_id=2,
        sep_token_id=3,
        bos_token_id=2,
        eos_token_id=3,
    )
    torch.manual_seed(seed)
    ModernBertModel(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def show(name: str, margins: Sequence[float]) -> None:
    """Print how often margins are above 0, as they should be, with a 95% interval."""
    found = accuracy(margins, [1.0] * len(margins))
    print(f"{name:<24} {found.mean:.3f} [{found.low:.3f}, {found.high:.3f}]", flush=True)


if __name__ == "__main__":
    main()
