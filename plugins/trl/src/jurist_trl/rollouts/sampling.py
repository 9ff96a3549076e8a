"""Responses of a policy in training, through TRL."""

from __future__ import annotations

from typing import Any, NamedTuple


class Responses(NamedTuple):
    """Token ids of prompts and of responses to them, without padding, and what the responses say."""

    prompt_ids: list[list[int]]
    response_ids: list[list[int]]
    texts: list[str]


def sample(trainer: Any, prompts: list[Any]) -> Responses:
    """A response to each prompt, by the policy of one of TRL's trainers as it is now.

    Raises:
        TrainingError: the policy's probabilities are no numbers any more.
    """
    prompt_ids, response_ids, *_ = trainer._generate(prompts)
    return Responses(prompt_ids, response_ids, trainer.texts_of(response_ids))
