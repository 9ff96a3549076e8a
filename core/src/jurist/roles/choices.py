"""Probabilities of choices from their log-probabilities."""

from __future__ import annotations

import math

from jurist.chat import ChatReply
from jurist.errors import ContractError


def probabilities(reply: ChatReply, count: int) -> tuple[float, ...] | None:
    """The softmax over the log-probabilities of ``reply``; None when no choice has a probability.

    Raises:
        ContractError: the model did not give one log-probability per choice.
    """
    logprobs = reply.choice_logprobs or ()
    if len(logprobs) != count:
        raise ContractError(
            f"A chat model gave {len(logprobs)} log-probabilities for {count} choices.",
            hint="give one per choice of the request, or None",
        )
    highest = max(logprobs)
    if math.isnan(sum(logprobs)) or math.isinf(highest):
        return None
    weights = [math.exp(logprob - highest) for logprob in logprobs]
    return tuple(weight / sum(weights) for weight in weights)
