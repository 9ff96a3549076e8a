"""Whether the policy can take the prompts that it will be asked, found out before the first call."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import cast

from jurist.chat import ChatRequest
from jurist.contracts import ChatModel
from jurist.errors import UsageError
from jurist.files.id_set import IdSet
from jurist.planning.rehearsal import UnmeteredModels
from jurist.preflight import Checked, base_policy
from jurist.records import Message, content_id
from jurist.selection import ComponentSource, select

_SHOWN = 20
"""How many faulty prompts an error lists one by one; the rest are counted."""

_SHORTEST = (Message(role="user", content="x"),)


async def check_prompt_fit(checked: Checked, source: ComponentSource) -> None:
    """Ask the policy that a recipe starts from about every prompt that it will be asked; makes no call.

    Equal requests count once. Where not even the shortest prompt fits, that is one fault, of the stage's
    setting.

    Raises:
        UsageError: some do not fit; lists the first of them.
    """
    base = base_policy(checked.recipe)
    if base is None or base.component is None:
        return
    policy = select("chat_model", base.component, source, "policy")
    if cast(type[ChatModel], policy.implementation).misfit is ChatModel.misfit:
        return  # it knows of no reason
    models = UnmeteredModels()
    try:
        requests = {f"stages.{stage.name}": stage.first_requests() for stage in checked.stages}
        await _check(cast(ChatModel, models.of(policy)), requests)
    finally:
        await models.close()


async def _check(model: ChatModel, stages: Mapping[str, Iterable[ChatRequest]]) -> None:
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
