"""Whether prompts, with the longest responses to them, fit the models that read them."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from jurist_trl.tokens import load_tokenizer, prompt_ids
from jurist_trl.training.job_checks import check_length


def check_rollouts(trainer: str, model: Path, prompt: int, response: int) -> None:
    """See to it that the longest prompt fits the model with the longest response that is allowed, in tokens.

    Raises:
        UsageError: it does not.
    """
    hint = "lower max_completion_length, or max_prompt_length: longer prompts are left out, and counted"
    check_length(trainer, model, prompt + response, hint)


def check_reward_model(trainer: str, model: Path, tokenizer: Any, prompts: list[Any], response: int) -> None:
    """See to it that the longest prompt fits a reward model with the longest response, in its own tokens.

    ``tokenizer`` is the policy's, whose tokens ``response`` counts. Where the reward model has others, the
    response is taken to have a quarter more of those.

    Raises:
        UsageError: it does not.
    """
    own = load_tokenizer(model)
    if own.get_vocab() != tokenizer.get_vocab():
        response = math.ceil(response * 1.25)
    longest = max(len(prompt_ids(own, prompt)) for prompt in prompts)
    hint = "lower max_completion_length or max_prompt_length, or take a reward model with a longer context"
    check_length(trainer, model, longest + response + 1, hint)  # and the end of a response that was cut off
