"""``jurist ledger``: what the ledger of a run holds; counted, exported and pruned."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

from jurist.money import in_usd
from jurist.records import Usage
from jurist_registry.commands.run_folder import RunFolder
from jurist_registry.progress import cost_text

if TYPE_CHECKING:
    from jurist.engine.ledger_archive import Removal
    from jurist.engine.ledger_stats import ComponentStats, FailureGroup, LedgerStats, ServedModel

Command = TypeVar("Command", bound=Callable[..., Any])

_COLUMNS = (
    *("component", "calls", "failed tries", "prompt tokens", "completion tokens", "USD"),
    *("mean s", "median s", "95% s"),
)

_SHOWN = 10
"""How many causes of failure are shown; the file of --json has all."""

_WIDTH = 300
"""How many characters of each are shown."""


def run_argument(command: Command) -> Command:
    """Add ``RUN``, the folder of a run."""
    return click.argument("run", type=RunFolder())(command)


@click.group()
def ledger() -> None:
    """Look into the ledger of a run, export it, or prune it."""


@ledger.command()
@run_argument
@click.option(
    "--json",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write all of it to this file too.",
)
def stats(run: Path, file: Path | None) -> None:
    """Count what the ledger of RUN holds.

    RUN is the folder of a run. Shows calls, failed tries, tokens, cost and seconds of each component, the
    most frequent failures, the models that served, batches, and the size of the file. Works while the run
    is going on.
    """
    from jurist.engine.ledger_archive import LedgerArchive
    from jurist.files.jsonl import write_json

    found = LedgerArchive(run).stats()
    if file is not None:
        write_json(file, found.model_dump(mode="json"))
    click.echo(_stats_text(found))


@ledger.command()
@run_argument
@click.option("--component", metavar="NAME", help="Only what was asked of this component.")
@click.option("--failures", is_flag=True, help="The failed tries instead of the replies.")
@click.option(
    "--out", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file, whole or not at all."
)
def export(run: Path, component: str | None, failures: bool, out: Path | None) -> None:
    """Print the replies in the ledger of RUN.

    RUN is the folder of a run. Each reply is a line of JSON, the oldest first. Works while the run is going
    on, and gives what was there at the start.
    """
    from jurist.engine.ledger_archive import LedgerArchive
    from jurist.files.jsonl import write_lines

    archive = LedgerArchive(run)
    rows = archive.failures(component) if failures else archive.replies(component)
    texts = (json.dumps(row, ensure_ascii=False) for row in rows)
    if out is None:
        for text in texts:
            click.echo(text)
        return
    noun = ("failed try", "failed tries") if failures else ("reply", "replies")
    with write_lines(out) as lines:
        for text in texts:
            lines.write(text)
    click.echo(f"{out}: {_count(lines.count, *noun)}")


@ledger.command()
@run_argument
@click.option("--component", metavar="NAME", help="Forget the replies of this component.")
@click.option("--failures", is_flag=True, help="Forget failed tries instead; with --component, its own.")
@click.option("--batches", is_flag=True, help="Give up the batches under way; alone.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def prune(run: Path, component: str | None, failures: bool, batches: bool, yes: bool) -> None:
    """Forget a part of the ledger of RUN.

    RUN is the folder of a run, which must not be going on. A reply that is forgotten is asked and paid for
    again when the run needs it.
    """
    from jurist.engine.ledger_archive import LedgerArchive

    def sure(removal: Removal) -> bool:
        return yes or click.confirm(f"{_removal_text(removal)}\nForget them?", err=True)

    if batches and (failures or component is not None):
        raise click.UsageError("--batches goes with neither --component nor --failures")
    archive = LedgerArchive(run)
    removed = archive.prune(component=component, failures=failures, batches=batches, sure=sure)
    click.echo("nothing was forgotten" if removed is None else f"forgotten: {_removal_text(removed)}")


def _removal_text(removal: Removal) -> str:
    whose = f" of {removal.component}" if removal.component else ""
    if removal.what == "failures":
        tries = f"{_count(removal.count, 'failed try', 'failed tries')}{whose}"
        cost = _charge_text(removal.usage)
        return f"{tries} (billed {cost}, which no longer counts towards the budget)" if cost else tries
    if removal.what == "batches":
        given_up = _count(removal.count, "batch", "batches")
        return (
            f"{given_up} under way; the provider bills them, and their requests are asked and paid for again"
        )
    replies = f"{_count(removal.count, 'reply', 'replies')}{whose}"
    if not removal.count:
        return replies
    cost = cost_text(removal.usage, removal.count)
    return f"{replies} ({cost}); those that the run needs are asked and paid for again"


def _stats_text(found: LedgerStats) -> str:
    lines = _table(found.components)
    if found.failures:
        lines += ["", "failed tries, the most frequent first:"]
        lines += [_failure_text(group) for group in found.failures[:_SHOWN]]
    if len(found.failures) > _SHOWN:
        lines.append(f"  and {len(found.failures) - _SHOWN:,} other causes")
    if billed := _charge_text(found.charged):
        lines.append(f"  billed: {billed}, which counts towards the budget too")
    if found.models:
        lines += ["", "replies by the model that served:"]
        lines += [_model_text(served) for served in found.models]
    batches = found.batches
    waiting = f" with {_count(batches.waiting, 'request', 'requests')}" if batches.open else ""
    lines += ["", f"batches: {batches.open:,} open{waiting}, {batches.ended:,} ended"]
    return "\n".join([*lines, f"size: {_size_text(found.bytes)}"])


def _table(components: Sequence[ComponentStats]) -> list[str]:
    """A line per component below the names of the columns, then all of them together."""
    if not components:
        return ["no calls"]
    rows = [_COLUMNS, *(_row(component) for component in components)]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    calls = sum(stats.calls for stats in components)
    return [
        *lines,
        f"in all: {cost_text(sum((s.usage for s in components), Usage()), calls) or 'no replies'}",
    ]


def _row(stats: ComponentStats) -> tuple[str, ...]:
    times = stats.times
    seconds = ("-",) * 3 if times is None else (f"{s:,.2f}" for s in (times.mean, times.median, times.p95))
    return (
        stats.component,
        f"{stats.calls:,}",
        f"{stats.failed_tries:,}",
        f"{stats.usage.prompt_tokens:,}",
        f"{stats.usage.completion_tokens:,}",
        in_usd(stats.usage.usd),
        *seconds,
    )


def _failure_text(group: FailureGroup) -> str:
    text = group.text if len(group.text) <= _WIDTH else f"{group.text[:_WIDTH]}…"
    return f"  {group.tries:,} of {', '.join(group.components)}: {text}"


def _charge_text(charged: Usage) -> str:
    """What failed tries cost; empty where nothing is known of that."""
    tokens = charged.prompt_tokens + charged.completion_tokens
    return f"${in_usd(charged.usd)}, {tokens:,} tokens" if charged.usd or tokens else ""


def _model_text(served: ServedModel) -> str:
    fingerprint = f" ({served.fingerprint})" if served.fingerprint else ""
    return f"  {served.calls:,} of {served.component}: {served.model or 'model not said'}{fingerprint}"


def _count(number: int, one: str, many: str) -> str:
    return f"{number:,} {one if number == 1 else many}"


def _size_text(size: int) -> str:
    return f"{size / 1e6:,.1f} MB" if size >= 1e6 else f"{size / 1e3:,.1f} kB"
