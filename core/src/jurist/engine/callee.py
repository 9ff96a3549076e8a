"""Callee: the component that a call is made of, and what becomes of what goes wrong in it."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import TypeVar

from jurist.engine.limits import Limiter
from jurist.engine.replies import storable
from jurist.errors import ContractError, JuristError, ProviderError, described
from jurist.records import Failure

R = TypeVar("R")


@dataclass(frozen=True)
class Callee:
    """Who is called: the label it has in the recipe, where it comes from, and its limiter."""

    label: str
    provided_by: str
    limiter: Limiter


class Returned(ProviderError):
    """A Failure that a component returned, on its way through the retries."""

    def __init__(self, failure: Failure) -> None:
        self.failure, _ = storable(failure, Failure.model_validate_json)
        super().__init__(failure.error, retryable=failure.retryable, usage=failure.usage)


async def guarded(perform: Callable[[], Awaitable[R]], callee: Callee, timeout: float | None = None) -> R:
    """Perform a component's call; whatever goes wrong in it becomes an error that names it.

    Raises:
        ProviderError: the call failed, or took longer than ``timeout`` seconds.
        ContractError: a bug. It ends the run: a Failure would pass for something that is known of the item.
    """
    try:
        if timeout is None:
            return await perform()
        async with asyncio.timeout(timeout):
            return await perform()
    except ProviderError as error:
        error.provided_by = error.provided_by or callee.provided_by
        raise
    except JuristError:
        raise
    except TimeoutError as error:
        limit = "" if timeout is None else f" (limits.timeout is {timeout:g} s)"
        raise ProviderError(
            f"'{callee.label}' timed out{limit}.",
            retryable=True,
            provided_by=callee.provided_by,
            hint="raise limits.timeout if it is only slow",
        ) from error
    except Exception as error:
        raise ContractError(
            f"'{callee.label}' raised an error that it should have handled.",
            provided_by=callee.provided_by,
            cause=described(error),
            hint="report this to the author of the component; what was answered is kept",
        ) from error


def unexpected(error: Exception, callee: Callee) -> JuristError:
    """What ends the run after an error that nobody raised on purpose, and not in the component either."""
    ending = JuristError(
        f"A call of '{callee.label}' ended in an unexpected error.",
        cause=described(error),
        hint="report this to the authors of Jurist; what was answered is kept",
    )
    ending.__cause__ = error
    return ending
