"""What the ledger of a run holds, counted: calls, failures, models that served, batches."""

from __future__ import annotations

import math
import re
import sqlite3
import statistics
from array import array
from collections import Counter, defaultdict
from dataclasses import dataclass, field

from jurist.engine.ledger import charged_of
from jurist.records import Record, Usage

# What a reply says of itself is asked of SQLite, so that no reply is built as an object.
_CALLS = """
SELECT component, prompt_tokens, completion_tokens, usd, seconds,
    CASE WHEN json_valid(reply) THEN json_extract(reply, '$.served_model') END,
    CASE WHEN json_valid(reply) THEN json_extract(reply, '$.fingerprint') END
FROM replies
"""

_CHANGING = re.compile(
    r"""
    (?P<status>\b(?:http|status|code|error)(?:[ _](?:status|code))?[\s:=(]{1,2}[1-5]\d\d\b)  # is a cause
    | 0x[0-9a-f]+
    | (?<![a-z0-9])[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}(?![a-z0-9])
    | (?<![a-z0-9])(?=\d*[a-f])(?=[a-f]*\d)[0-9a-f]{8,}(?:-\d+)?(?![a-z0-9])
    | (?<![a-z0-9])(?=\d*[a-z])(?=[a-z]*\d)[a-z0-9]{20,}(?![a-z0-9])
    | (?<!\w)(?<!\w-)\d(?:[\d.,:/-]*\d)?(?:t[\d:.]+(?:z|[+-]\d\d:?\d\d)?)?(?:e[+-]?\d+)?
    """,
    re.IGNORECASE | re.VERBOSE,
)


class CallTimes(Record):
    """Seconds per call, over the ``timed`` calls whose time is known; ``p95``: 95% took at most so long."""

    timed: int
    mean: float
    median: float
    p95: float

    @classmethod
    def of(cls, seconds: array[float]) -> CallTimes | None:
        """Of each call's seconds; None of no calls."""
        if not seconds:
            return None
        ranked = sorted(seconds)
        return cls(
            timed=len(ranked),
            mean=statistics.fmean(ranked),
            median=statistics.median(ranked),
            p95=ranked[math.ceil(0.95 * len(ranked)) - 1],
        )


class ComponentStats(Record):
    """What was asked of one component, by its name in the recipe; ``usage`` is that of all its calls."""

    component: str
    calls: int
    failed_tries: int
    usage: Usage
    times: CallTimes | None


class FailureGroup(Record):
    """Failed tries of one cause: ``text`` has '#' where they differ in a number or an id."""

    text: str
    tries: int
    components: tuple[str, ...]


class ServedModel(Record):
    """How many replies a provider said that it made with this model."""

    component: str
    model: str | None
    fingerprint: str | None
    calls: int


class BatchCounts(Record):
    """Batches of providers; ``waiting`` counts the requests in those that are open."""

    open: int
    ended: int
    waiting: int


class LedgerStats(Record):
    """All of it.

    ``charged`` is what failed tries cost, tokens of prompts and answers together; ``bytes`` the size of the
    file, with what was not yet moved into it.
    """

    components: tuple[ComponentStats, ...]
    failures: tuple[FailureGroup, ...]
    charged: Usage
    models: tuple[ServedModel, ...]
    batches: BatchCounts
    bytes: int

    @classmethod
    def of(cls, connection: sqlite3.Connection, size: int) -> LedgerStats:
        """Of the ledger that ``connection`` reads."""
        failed: Counter[str] = Counter()
        groups: defaultdict[str, Counter[str]] = defaultdict(Counter)
        for component, error, tries in connection.execute(
            "SELECT component, error, COUNT(*) FROM failures GROUP BY component, error"
        ):
            failed[component] += tries
            groups[failure_text(error)][component] += tries
        counts, models = _counted(connection)
        return cls(
            components=tuple(
                counts[name].stats(name, failed[name]) for name in sorted(counts.keys() | failed.keys())
            ),
            failures=_most_frequent(groups),
            charged=charged_of(connection),
            models=tuple(
                ServedModel(component=component, model=model, fingerprint=fingerprint, calls=calls)
                for (component, model, fingerprint), calls in models.most_common()
            ),
            batches=_batches(connection),
            bytes=size,
        )


def failure_text(error: str) -> str:
    """What failed and the cause, in one line in which equal causes are equal: numbers and ids become '#'.

    The status of an HTTP reply is kept, since it is the cause.
    """
    what, *slots = re.split(r"\n  (?=(?:provided by|cause|try) )", error)
    causes = [f"({slot.removeprefix('cause').strip()})" for slot in slots if slot.startswith("cause ")]
    return _CHANGING.sub(lambda found: found["status"] or "#", " ".join(" ".join([what, *causes]).split()))


@dataclass
class _Count:
    """What is counted of one component."""

    calls: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    seconds: array[float] = field(default_factory=lambda: array("d"))

    def stats(self, component: str, failed_tries: int) -> ComponentStats:
        usage = Usage(
            prompt_tokens=self.prompt_tokens,
            completion_tokens=self.completion_tokens,
            usd=self.usd,
            seconds=math.fsum(self.seconds),
        )
        return ComponentStats(
            component=component,
            calls=self.calls,
            failed_tries=failed_tries,
            usage=usage,
            times=CallTimes.of(self.seconds),
        )


def _counted(
    connection: sqlite3.Connection,
) -> tuple[defaultdict[str, _Count], Counter[tuple[str, str | None, str | None]]]:
    """Each component's calls, and how many of them each model served."""
    counts: defaultdict[str, _Count] = defaultdict(_Count)
    models: Counter[tuple[str, str | None, str | None]] = Counter()
    for component, prompt, completion, usd, seconds, model, fingerprint in connection.execute(_CALLS):
        count = counts[component]
        count.calls += 1
        count.prompt_tokens += prompt
        count.completion_tokens += completion
        count.usd += usd
        if seconds > 0:  # zero: nobody measured it, as in a provider's batch
            count.seconds.append(seconds)
        if model is not None or fingerprint is not None:
            models[component, model, fingerprint] += 1
    return counts, models


def _most_frequent(groups: dict[str, Counter[str]]) -> tuple[FailureGroup, ...]:
    """The groups of failures, the most frequent first."""
    found = [
        FailureGroup(text=text, tries=by.total(), components=tuple(sorted(by))) for text, by in groups.items()
    ]
    return tuple(sorted(found, key=lambda group: (-group.tries, group.text)))


def _batches(connection: sqlite3.Connection) -> BatchCounts:
    """The batches; a ledger of a version that knew none has no table of them."""
    if connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'batches'").fetchone() is None:
        return BatchCounts(open=0, ended=0, waiting=0)
    opened, ended = connection.execute("SELECT COUNT(*) - COUNT(ended), COUNT(ended) FROM batches").fetchone()
    (waiting,) = connection.execute("SELECT COUNT(*) FROM batch_requests").fetchone()  # of open ones only
    return BatchCounts(open=opened, ended=ended, waiting=waiting)
