"""Calls of LiteLLM, without the report that it writes of each where nobody would get it."""

from __future__ import annotations

import logging
from collections.abc import Collection, Mapping
from itertools import count
from typing import TYPE_CHECKING, Any
from uuid import uuid4

from jurist_litellm.library import litellm

if TYPE_CHECKING:
    from jurist_litellm.record import Record

log = logging.getLogger("jurist_litellm")

_LISTENERS = (
    *("callbacks", "input_callback", "success_callback", "failure_callback"),
    *("_async_input_callback", "_async_success_callback", "_async_failure_callback"),
    *("pre_call_rules", "custom_provider_map", "max_budget"),
)
"""What a program that embeds Jurist may have set in LiteLLM, and would miss if its calls left no report."""
_IN_CALL = frozenset({"callbacks", "success_callback", "failure_callback", "logger_fn"})


class Calls:
    """Makes the calls of one model. ``unpriced``: see :class:`jurist_litellm.record.Record`.

    Reports, and prices that are looked for in vain, take more than half of LiteLLM's CPU time.
    """

    def __init__(self, unpriced: Collection[str] | None) -> None:
        self._unpriced = unpriced
        # Unique as LiteLLM wants its ids to be, without asking the system for randomness at each call.
        self._prefix, self._numbers = uuid4().hex, count()
        self._quiet = self._can_be_quiet()

    async def make(self, parameters: Mapping[str, Any]) -> Any:
        """One call."""
        if not self._quiet or _somebody_listens(parameters):
            return await litellm.acompletion(**parameters)
        from jurist_litellm.record import is_internal_call

        record = self._record(parameters)
        # A variable of this task's context, so calls that others make with LiteLLM keep their reports.
        outside = is_internal_call.set(True)
        try:
            return await litellm.acompletion(
                **parameters, litellm_call_id=record.litellm_call_id, litellm_logging_obj=record
            )
        finally:
            is_internal_call.reset(outside)

    def _record(self, parameters: Mapping[str, Any]) -> Record:
        from jurist_litellm.record import Record

        return Record(parameters, f"{self._prefix}-{next(self._numbers)}", self._unpriced)

    def _can_be_quiet(self) -> bool:
        """Whether this release of LiteLLM keeps its records in the way that is known here."""
        try:
            self._record({"model": "", "messages": []})
        except (ImportError, TypeError, AttributeError) as error:
            log.warning(
                "This release of LiteLLM reports on each call, which doubles their CPU time: %s", error
            )
            return False
        return True


def _somebody_listens(parameters: Mapping[str, Any]) -> bool:
    """Whether a report of the call would reach anybody."""
    return not _IN_CALL.isdisjoint(parameters) or any(getattr(litellm, name, None) for name in _LISTENERS)
