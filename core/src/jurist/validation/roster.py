"""Rosters: the judges that a jury is for, and how those who are asked differ from them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from jurist.near_names import guess


def roster_faults(roster: Mapping[str, str], asked: Mapping[str, str]) -> list[str]:
    """A line for every way in which who is ``asked`` differs from a ``roster``: names with versions.

    '' is any version.
    """
    faults = [f"judge '{name}', one of the jury's, is not asked" for name in roster if name not in asked]
    faults += [
        f"judge '{name}' is another than the jury's: {difference(asked[name], version)}"
        for name, version in roster.items()
        if version and asked.get(name) and asked[name] != version
    ]
    return [*stranger_faults(roster, asked), *faults]


def stranger_faults(roster: Iterable[str], asked: Iterable[str]) -> list[str]:
    """A line for everyone ``asked`` who is not on the ``roster``; the last one says who is."""
    known = list(roster)
    faults = [
        f"judge '{name}' is not one of the jury's{guess(name, known)}"
        for name in sorted(asked)
        if name not in known
    ]
    return [*faults[:-1], f"{faults[-1]} (known: {', '.join(sorted(known)) or 'none'})"] if faults else []


def difference(asked: str, learnt: str) -> str:
    """What is different between two versions of a judge: one that is asked, and one that was learnt from.

    A version is a fingerprint of the judge's settings, then how it is asked, as a judging stage writes it.
    """
    now, then = _Version.of(asked), _Version.of(learnt)
    found = []
    if now.settings != then.settings:
        found.append("other settings of the judge itself")
    if now.orders != then.orders:
        found.append(
            f"asked in {now.orders or 'orders not known'}, learnt in {then.orders or 'orders not known'}"
        )
    if now.principles != then.principles:
        kinds = [each.principles.partition(" of ")[0] or "principles not known" for each in (now, then)]
        same = kinds[0] == kinds[1]
        found.append("another constitution" if same else f"asked with {kinds[0]}, learnt with {kinds[1]}")
    return "; ".join(found)


class _Version(NamedTuple):
    """The parts of a version."""

    settings: str
    orders: str
    principles: str

    @classmethod
    def of(cls, version: str) -> _Version:
        settings, _, rest = version.partition(": ")
        orders, _, principles = rest.partition("; ")
        return cls(settings, orders or "orders not known", principles or "principles not known")
