"""Probabilities of choices from their log-probabilities, where the model did choose."""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from jurist.chat import ChatReply
from jurist.errors import ContractError


def chose(reply: ChatReply, choices: Sequence[str]) -> bool:
    """Whether ``reply`` has log-probabilities of ``choices``, and says nothing else than one of these.

    Of a model that goes on to write "I'm sorry …", they only say which choice is the less absurd. A model
    that reads its prompt and writes nothing, as local ones do, says nothing else.
    """
    said = reply.text.strip()
    begun = any(re.match(rf"{re.escape(choice)}(?![A-Za-z0-9])", said) for choice in choices)
    return reply.choice_logprobs is not None and (begun or not said)


def probabilities(reply: ChatReply, choices: Sequence[str]) -> tuple[float, ...] | None:
    """The softmax over the log-probabilities of ``reply``; None when no choice has a probability.

    Raises:
        ContractError: the model did not give one log-probability per choice.
    """
    logprobs = reply.choice_logprobs or ()
    if len(logprobs) != len(choices):
        raise ContractError(
            f"A chat model gave {len(logprobs)} log-probabilities for {len(choices)} choices.",
            hint="give one per choice of the request, or None",
        )
    highest = max(logprobs)
    if math.isnan(sum(logprobs)) or math.isinf(highest):
        return None
    weights = [math.exp(logprob - highest) for logprob in logprobs]
    return tuple(weight / sum(weights) for weight in weights)
