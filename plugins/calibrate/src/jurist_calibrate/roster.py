"""Rosters: the judges that an aggregator learnt from, and no others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from jurist.errors import UsageError
from jurist.records import JudgeOutcome
from jurist.validation.labelled import LabelledItem
from jurist.validation.roster import roster_faults, stranger_faults

_HINT = "ask those, as they were asked, or learn from these: jurist validate … --save-jury FOLDER"


def versions_in(items: Iterable[LabelledItem], aggregator: str) -> dict[str, str]:
    """The judges who voted on ``items``, by name in order, each with its version; '' where it is not known.

    Raises:
        UsageError: nobody voted, or the votes of a judge were given with different settings.
    """
    found: defaultdict[str, set[str]] = defaultdict(set)
    for item in items:
        for vote in item.votes:
            found[vote.judge].add(vote.version)
    subject = f"aggregator '{aggregator}' of jurist-calibrate cannot learn"
    if not found:
        hint = "jurist validate LABELLED --judges FILE"
        raise UsageError(f"{subject}: no judge voted on these items", hint=hint)
    mixed = [
        f"judge '{judge}' voted with {len(known)} different settings ({', '.join(sorted(known))})"
        for judge, versions in sorted(found.items())
        if len(known := versions - {""}) > 1
    ]
    if mixed:
        hint = "judge all items with the same settings, or leave some out"
        raise UsageError.of_faults(subject, mixed, hint=hint)
    return {judge: max(found[judge]) for judge in sorted(found)}


def check_roster(learnt: Mapping[str, str], asked: Mapping[str, str], where: str) -> None:
    """See to it that who is ``asked`` is who was ``learnt`` from: names with versions; '' fits any version.

    Raises:
        UsageError: lists every judge that differs, and in what.
    """
    _raise(roster_faults(learnt, asked), where)


def check_voters(learnt: Mapping[str, str], outcomes: Sequence[JudgeOutcome], where: str) -> None:
    """See to it that everyone who has something to say was ``learnt`` from.

    Raises:
        UsageError: lists every judge that was not.
    """
    _raise(stranger_faults(learnt, {outcome.source for outcome in outcomes}), where)


def _raise(faults: list[str], where: str) -> None:
    if faults:
        raise UsageError.of_faults(f"{where} learnt from other judges", faults, hint=_HINT)
