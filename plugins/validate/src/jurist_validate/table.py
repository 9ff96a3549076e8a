"""Tables of plain text, at most 100 columns wide."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from jurist.intervals import Estimate

NAME_WIDTH = 20
NOTHING = "–"


def table(heading: str, columns: Sequence[str], rows: Mapping[str, Sequence[str]]) -> list[str]:
    """A heading line and a line for each row; columns that say nothing in any row are left out."""
    kept = [place for place in range(len(columns)) if any(cells[place] != NOTHING for cells in rows.values())]
    if not kept:
        return []
    width = min(NAME_WIDTH, max(len(heading), *map(len, rows)))
    widths = {place: max(len(columns[place]), *(len(row[place]) for row in rows.values())) for place in kept}
    lines = [(heading, columns), *rows.items()]
    return [
        "  ".join([shortened(name, width), *(cells[place].ljust(widths[place]) for place in kept)]).rstrip()
        for name, cells in lines
    ]


def shortened(name: str, width: int) -> str:
    """``name`` padded to ``width``, without its middle where it is longer."""
    if len(name) > width:
        head = (width - 1) // 2
        name = f"{name[:head]}…{name[len(name) - (width - 1 - head) :]}"
    return name.ljust(width)


def percent(fraction: float) -> str:
    """A share in percent, with one decimal where there is one: ``84.5``."""
    return f"{100 * fraction:.1f}".removesuffix(".0")


def share(found: Estimate | None, *, interval: bool = True) -> str:
    """A share in percent with its interval: ``84.5 [81–88]``."""
    if found is None:
        return NOTHING
    mean = percent(found.mean)
    return f"{mean} [{100 * found.low:.0f}–{100 * found.high:.0f}]" if interval else mean


def number(found: Estimate | None) -> str:
    """Anything else with its interval: ``0.61 [0.55, 0.67]``."""
    return NOTHING if found is None else f"{found.mean:.2f} [{found.low:.2f}, {found.high:.2f}]"
