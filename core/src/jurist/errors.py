"""Everything Jurist raises on purpose, sorted by who must act.

    JuristError
    ├── UsageError       the user: a recipe, an option, an input file       exit code 2
    ├── PluginError      the author of a plugin: it cannot be loaded,
    │                    or an observer of it failed                     exit code 2
    ├── ContractError    the author of a component: it broke its promise    exit code 2
    ├── ProviderError    nobody, or time: a call failed; says if a retry can help
    ├── TrainingError    the user: a trainer stopped; its last good checkpoint is named
    └── Stopped          nobody: the run ended early and can be continued
        ├── BudgetStop       the next call could pass the cap               exit code 3
        ├── GateStop         the judges were not good enough                exit code 4
        └── Interrupted      Ctrl-C                                         exit code 130

The command prints these as one message without a traceback; anything else is a bug of ours.
"""

from __future__ import annotations

import traceback
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jurist.records import Usage


class JuristError(Exception):
    """Base of all errors raised on purpose.

    ``str(error)`` is a message for a person: what failed, who provides it, the cause and the next
    command to try, one per line. Slots without a value are left out. Half a character in one of them (a
    provider's message cut inside an emoji) becomes U+FFFD, since no file or terminal takes it.
    """

    exit_code = 2

    def __init__(
        self,
        what: str,
        *,
        provided_by: str | None = None,
        cause: str | BaseException | None = None,
        hint: str | None = None,
    ) -> None:
        self.what = whole(what)
        super().__init__(self.what)
        self.provided_by = provided_by and whole(provided_by)
        self.cause = _one_line(cause)
        self.hint = hint and whole(hint)

    def __str__(self) -> str:
        slots = (("provided by", self.provided_by), ("cause", self.cause), ("try", self.hint))
        return "\n".join([self.what, *(f"  {name:<12} {value}" for name, value in slots if value)])


class UsageError(JuristError):
    """The user asked for something that cannot be done; lists every fault found.

    ``faults`` are those that it lists, where it was made of some.
    """

    faults: tuple[str, ...] = ()

    @classmethod
    def of_faults(
        cls, subject: str, faults: Iterable[str], *, more: int = 0, hint: str | None = None
    ) -> UsageError:
        """One error that lists ``faults`` of ``subject``, one per line, and counts ``more``."""
        lines = list(faults)
        number = len(lines) + more
        count = "1 fault" if number == 1 else f"{number:,} faults"
        rest = [f"  … and {more:,} more"] if more else []
        error = cls("\n".join([f"{subject}: {count}", *(f"  - {line}" for line in lines), *rest]), hint=hint)
        error.faults = tuple(lines)
        return error


class PluginError(JuristError):
    """A plugin cannot be loaded, two plugins claim one name, or an observer of a plugin raised."""


class ContractError(JuristError):
    """A component did not keep the promise of its contract: it returned the wrong type, or raised a bug."""


class ProviderError(JuristError):
    """A call to a model or service failed.

    ``retryable``: the same call may succeed later. ``retry_after``: seconds the provider asked us to
    wait. ``rate_limited``: it said "too many" (a 429), so fewer calls should run at once; implied by
    ``retry_after``. ``fatal``: no call of this component can succeed (a wrong key, an unknown model),
    so the run stops with this message instead of failing every item. ``usage``: what the failed call was
    billed, where the provider says so; it counts in the budget.
    """

    def __init__(
        self,
        what: str,
        *,
        retryable: bool = False,
        retry_after: float | None = None,
        rate_limited: bool = False,
        fatal: bool = False,
        usage: Usage | None = None,
        provided_by: str | None = None,
        cause: str | BaseException | None = None,
        hint: str | None = None,
    ) -> None:
        super().__init__(what, provided_by=provided_by, cause=cause, hint=hint)
        self.retryable = retryable
        self.retry_after = retry_after
        self.rate_limited = rate_limited or retry_after is not None
        self.fatal = fatal
        self.usage = usage


class TrainingError(JuristError):
    """A trainer stopped before its end."""


class Stopped(JuristError):
    """The run ended before its end; what was paid for is kept, and running again continues."""


class BudgetStop(Stopped):
    """The next call could have passed the cap on money or tokens."""

    exit_code = 3


class GateStop(Stopped):
    """A quality gate did not let the run go on."""

    exit_code = 4


class Interrupted(Stopped):
    """A person asked the run to stop."""

    exit_code = 130


def whole(text: str) -> str:
    """``text`` with U+FFFD for each half of a character (a lone surrogate)."""
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def described(error: BaseException) -> str:
    """A bug in a few words, for its author: the kind of error, its message and where it was raised."""
    frames = traceback.extract_tb(error.__traceback__)
    place = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    return f"{type(error).__name__}: {error}{place}"


def _one_line(cause: str | BaseException | None) -> str | None:
    if isinstance(cause, BaseException):
        text = cause.what if isinstance(cause, JuristError) else str(cause)
        cause = f"{type(cause).__name__}: {text}"
    return whole(" ".join(cause.split())) if cause else None
