"""The prompts that a policy is sampled on."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any, NamedTuple

from jurist.errors import UsageError
from jurist.files.training_data import TrainingRow, read_training_data
from jurist_trl.tokens import ChatMessages, messages, prompt_ids


class RolloutPrompts(NamedTuple):
    """Prompts to sample on, how many tokens the longest of them has, and how many were too long."""

    prompts: list[ChatMessages]
    longest: int
    too_long: int


def rollout_prompts(
    path: Path, tokenizer: Any, max_length: int, *, provided_by: str, what: str = "prompts"
) -> RolloutPrompts:
    """The prompts of the file ``path`` with at most ``max_length`` tokens; an error says ``what`` they are.

    Raises:
        UsageError: lines of the file are wrong, or all prompts are longer.
    """
    prompts: list[ChatMessages] = [messages(row.prompt) for row in read_training_data(path, TrainingRow)]
    lengths = [len(prompt_ids(tokenizer, prompt)) for prompt in prompts]
    kept = [prompt for prompt, length in zip(prompts, lengths, strict=True) if length <= max_length]
    if not kept:
        raise UsageError(
            f"none of the {len(prompts)} {what} has at most {max_length} tokens",
            provided_by=provided_by,
            hint="raise the option max_prompt_length",
        )
    longest = max(length for length in lengths if length <= max_length)
    return RolloutPrompts(kept, longest, len(prompts) - len(kept))


def shuffled(prompts: list[ChatMessages], count: int, seed: int) -> list[ChatMessages]:
    """``count`` prompts: all of them in random order, then again in another, as often as needed.

    The whole training is laid out beforehand as one pass, so that resuming is skipping.
    """
    source, order = random.Random(seed), list(range(len(prompts)))
    drawn: list[ChatMessages] = []
    while len(drawn) < count:
        source.shuffle(order)
        drawn.extend(prompts[i] for i in order)
    return drawn[:count]
