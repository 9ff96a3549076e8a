"""What LiteLLM keeps of a call while it lasts; the only module that builds on LiteLLM's internals."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Any

from litellm._internal_context import is_internal_call
from litellm.litellm_core_utils.litellm_logging import Logging

__all__ = ["Record", "is_internal_call"]


class Record(Logging):  # type: ignore[misc]  # mypy skips LiteLLM
    """The record of one call, in which LiteLLM looks up no price that is not wanted.

    ``unpriced`` are served models that LiteLLM knows no price of, or None where no price is wanted at all.
    """

    def __init__(self, parameters: Mapping[str, Any], call_id: str, unpriced: Collection[str] | None) -> None:
        super().__init__(
            model=parameters["model"],
            messages=parameters["messages"],
            stream=False,
            call_type="acompletion",
            start_time=datetime.now(),
            litellm_call_id=call_id,
            litellm_trace_id=call_id,
            function_id="",
            kwargs=dict(parameters),
        )
        self._unpriced = unpriced

    def response_cost_calculator(self, result: Any = None, *arguments: Any, **named: Any) -> float | None:
        """What the call cost."""
        if not self._wants_cost(result):
            return None
        cost: float | None = super().response_cost_calculator(result, *arguments, **named)
        return cost

    def _wants_cost(self, result: Any) -> bool:
        """Whether to look for a price. In vain, that takes LiteLLM a third of the CPU time of a call."""
        if self._unpriced is None:
            return False
        stated = getattr(getattr(result, "usage", None), "cost", None)
        return stated is not None or getattr(result, "model", None) not in self._unpriced
