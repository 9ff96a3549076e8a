"""Fit: whether a model can take what it will be asked, found out before the first call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from jurist.chat import ChatRequest
from jurist.contracts import ChatModel
from jurist.errors import UsageError
from jurist.files.id_set import IdSet
from jurist.records import Message, content_id

_SHOWN = 20
"""How many faulty prompts an error lists one by one; the rest are counted."""


_SHORTEST = (Message(role="user", content="x"),)


async def check_fit(model: ChatModel, stages: Mapping[str, Iterable[ChatRequest]]) -> None:
    """Ask the model of every request of each stage whether it fits; equal requests count once.

    Where not even the shortest prompt fits, that is one fault, of the stage's setting.

    Raises:
        UsageError: some do not; lists the first of them.
    """
    asked = IdSet()
    faults: list[str] = []
    more = 0
    for where, requests in stages.items():
        for request in requests:
            if not asked.add(content_id(request)) or (fault := await model.misfit(request)) is None:
                continue
            shortest = request.model_copy(update={"messages": _SHORTEST})
            if (always := await model.misfit(shortest)) is not None:
                most = request.sampling.max_tokens
                faults.append(f"{where}.sampling.max_tokens: with {most} no prompt fits. {always}")
                break
            if len(faults) < _SHOWN:
                opening = " ".join(request.messages[-1].content.split())[:60]
                faults.append(f"{where}: {fault} Prompt: “{opening}…”")
            else:
                more += 1
    if faults:
        hint = "lower the stage's sampling.max_tokens, or leave these prompts out"
        raise UsageError.of_faults("prompts that the policy cannot take", faults, more=more, hint=hint)
