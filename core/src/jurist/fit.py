"""Fit: whether a model can take what it will be asked, found out before the first call."""

from __future__ import annotations

from collections.abc import Iterable

from jurist.chat import ChatRequest
from jurist.contracts import ChatModel
from jurist.errors import UsageError
from jurist.files.id_set import IdSet
from jurist.records import content_id

_SHOWN = 20
"""How many faulty prompts an error lists one by one; the rest are counted."""


async def check_fit(model: ChatModel, requests: Iterable[ChatRequest]) -> None:
    """Ask the model of every request whether it fits; equal requests count once.

    Raises:
        UsageError: some do not; lists the first of them.
    """
    asked = IdSet()
    faults: list[str] = []
    more = 0
    for request in requests:
        if not asked.add(content_id(request)):
            continue
        fault = await model.misfit(request)
        if fault is None:
            continue
        if len(faults) < _SHOWN:
            opening = " ".join(request.messages[-1].content.split())[:60]
            faults.append(f"{fault} Prompt: “{opening}…”")
        else:
            more += 1
    if faults:
        hint = "lower max_tokens, or leave these prompts out"
        raise UsageError.of_faults("prompts that the policy cannot take", faults, more=more, hint=hint)
