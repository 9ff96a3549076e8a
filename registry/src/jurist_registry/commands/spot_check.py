"""``jurist spot-check``: people look at some of the labels of a run."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from jurist.errors import UsageError
from jurist_registry.commands.run_folder import RunFolder

if TYPE_CHECKING:
    from jurist.intervals import Estimate
    from jurist.validation.spot_check_result import SpotChecked

_stage_option = click.option(
    "--stage", default="", metavar="NAME", help="The stage whose labels are checked, if there are several."
)


@click.group("spot-check")
def spot_check() -> None:
    """Have people look at some of a run's labels, and estimate how many of all are right."""


@spot_check.command()
@click.argument("run", type=RunFolder())
@click.option("--size", type=click.IntRange(min=1), default=100, help="How many comparisons; default 100.")
@click.option("--seed", type=int, default=0, help="Another seed draws others; default 0.")
@_stage_option
@click.option(
    "--out",
    type=click.Path(dir_okay=False, path_type=Path),
    help="The file to write, by default spot_check.jsonl in RUN.",
)
def sample(run: Path, size: int, seed: int, stage: str, out: Path | None) -> None:
    """Draw comparisons of RUN for people to label.

    RUN is the folder of a run. What the jury disagreed on is drawn more often. Each line is a comparison
    with "label": null; write "A", "B" or "tie" there. What has a label already is not drawn again.
    """
    from jurist.files.jsonl import write_lines
    from jurist.validation.spot_check import SpotCheck

    file = out or run / "spot_check.jsonl"
    if file.exists():
        raise UsageError(
            f"{file} is there already, and may hold somebody's labels",
            hint=f"jurist spot-check import {run} {file}, or choose another file with --out",
        )
    rows = SpotCheck(run, stage).sample(size, seed)
    with write_lines(file) as lines:
        for row in rows:
            lines.write(row.to_json())
    click.echo(f"{file}: {len(rows):,} comparisons to label")
    click.echo(f"then: jurist spot-check import {run} {file}")


@spot_check.command("import")
@click.argument("run", type=RunFolder())
@click.argument("labels", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_stage_option
@click.option(
    "--json",
    "file",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Write all of it to this file too.",
)
def import_labels(run: Path, labels: Path, stage: str, file: Path | None) -> None:
    """Read LABELS of people, and tell how many of RUN's are right.

    RUN is the folder of a run. Labels are added to those that were read before; rows without one are left
    for later.
    """
    from jurist.files.jsonl import write_json
    from jurist.validation.spot_check import SpotCheck

    check = SpotCheck(run, stage)
    found = check.import_labels(labels)
    if file is not None:
        write_json(file, found.model_dump(mode="json"))
    click.echo(_text(found))
    click.echo(f"labels of people, with the votes of the jury: {check.labels_file}")


def _text(found: SpotChecked) -> str:
    """What a spot check found, in lines."""
    rows = [("stratum", "labels", "checked", "right", "claimed")]
    rows += [
        (
            part.stratum,
            f"{part.labels:,}",
            f"{part.checked:,}",
            _share(part.right) if part.right is not None else "-",
            f"{part.claimed:.1%}",
        )
        for part in found.strata
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join([row[0].ljust(widths[0]), *map(str.rjust, row[1:], widths[1:])]) for row in rows]
    skipped = f"; {found.skipped:,} rows without a label" if found.skipped else ""
    replaced = f"; {found.replaced:,} labels replaced" if found.replaced else ""
    checked = f"{found.checked:,} of {found.labels:,} labels of stage '{found.stage}' checked"
    counted = f"{checked}{skipped}{replaced}"
    if found.accuracy is None:
        missing = ", ".join(part.stratum for part in found.strata if not part.checked)
        verdict = f"how many of all labels are right is not known: none is checked in {missing}"
    else:
        verdict = f"right, of all labels: {_share(found.accuracy)}; the jury claims {found.claimed:.1%}"
    return "\n".join([counted, *lines, verdict])


def _share(share: Estimate) -> str:
    return f"{share.mean:.1%} [{max(0, share.low):.1%}, {min(1, share.high):.1%}]"
