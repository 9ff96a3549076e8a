"""Preferences as token ids: those too long left out and counted, a share of the prompts held out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from jurist.errors import UsageError
from jurist.files.training_data import PreferenceRow
from jurist_trl.tokens import ChatMessages, conversation_ids, messages, prompt_ids


class Pair(NamedTuple):
    """One preference: the ids of the prompt, and of the whole conversation with each response."""

    prompt: list[int]
    chosen: list[int]
    rejected: list[int]
    probability: float
    margin: float


class Pairs(NamedTuple):
    """Preferences to train on, preferences held out, and how many had too many tokens for either."""

    train: list[Pair]
    held_out: list[Pair]
    too_long: int

    @property
    def longest(self) -> int:
        """Tokens of the longest conversation."""
        pairs = [*self.train, *self.held_out]
        return max(len(ids) for pair in pairs for ids in (pair.chosen, pair.rejected))

    def counts(self) -> dict[str, float]:
        """The three numbers, as metrics."""
        return {
            "pairs": float(len(self.train)),
            "pairs_held_out": float(len(self.held_out)),
            "pairs_too_long": float(self.too_long),
        }


def split_pairs(
    tokenizer: Any,
    examples: Sequence[PreferenceRow],
    *,
    max_length: int,
    eval_fraction: float,
    seed: int,
    provided_by: str,
) -> Pairs:
    """Tokenise, leave out what is too long, and hold out a share of the prompts (never of the pairs).

    The likelier response becomes the chosen one: no loss changes, and TRL's accuracies and margins, which
    know no probabilities, then say what is learnt.

    Raises:
        UsageError: nothing is left to train on.
    """
    train: list[Pair] = []
    held_out: list[Pair] = []
    for example in examples:
        pair = _tokenized(tokenizer, likelier_first(example))
        if max(len(pair.chosen), len(pair.rejected)) <= max_length:
            drawn = _uniform(seed, messages(example.prompt))
            (held_out if drawn < eval_fraction else train).append(pair)
    too_long = len(examples) - len(train) - len(held_out)
    if not train:
        raise UsageError(
            f"no preference is left to train on: {too_long} of {len(examples)} have more than "
            f"{max_length} tokens, {len(held_out)} are held out",
            provided_by=provided_by,
            hint="raise max_length, or lower eval_fraction",
        )
    return Pairs(train, held_out, too_long)


def likelier_first(example: PreferenceRow) -> PreferenceRow:
    """The same preference, with the likelier response as the chosen one."""
    if example.probability >= 0.5:
        return example
    swapped = {"chosen": example.rejected, "rejected": example.chosen, "probability": 1 - example.probability}
    return example.model_copy(update=swapped)


def sided(examples: Iterable[PreferenceRow]) -> list[PreferenceRow]:
    """The examples that take a side, for sure."""
    return [
        each.model_copy(update={"probability": float(each.probability > 0.5)})
        for each in examples
        if each.probability != 0.5
    ]


def _tokenized(tokenizer: Any, example: PreferenceRow) -> Pair:
    return Pair(
        prompt=prompt_ids(tokenizer, messages(example.prompt)),
        chosen=conversation_ids(tokenizer, messages(example.prompt + example.chosen)),
        rejected=conversation_ids(tokenizer, messages(example.prompt + example.rejected)),
        probability=example.probability,
        margin=example.margin,
    )


def _uniform(seed: int, prompt: ChatMessages) -> float:
    """A number in [0, 1) that depends on the seed and the prompt alone."""
    text = json.dumps([seed, prompt], sort_keys=True)
    return int(hashlib.sha256(text.encode()).hexdigest()[:8], 16) / 16**8
