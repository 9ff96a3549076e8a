"""Rosters: the judges that an aggregator was fitted on, and no others."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from jurist.errors import UsageError
from jurist.options import near_miss
from jurist.records import JudgeOutcome
from jurist.validation.labelled import LabelledItem

_HINT = "ask the judges it was fitted on, or fit one on these: jurist validate … --save-jury FOLDER"


def versions_in(items: Iterable[LabelledItem], aggregator: str) -> dict[str, str]:
    """The judges who voted on ``items``, by name in order, each with its version; '' where it is not known.

    Raises:
        UsageError: nobody voted, or the votes of a judge were given with different settings.
    """
    found: defaultdict[str, set[str]] = defaultdict(set)
    for item in items:
        for vote in item.votes:
            found[vote.judge].add(vote.version)
    subject = f"aggregator '{aggregator}' of jurist-calibrate cannot be fitted"
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


def check_roster(fitted: Mapping[str, str], asked: Mapping[str, str], where: str) -> None:
    """See to it that who is ``asked`` is who was ``fitted``: names with versions; '' fits any version.

    Raises:
        UsageError: lists every judge that differs.
    """
    faults = _strangers(fitted, asked)
    faults += [f"judge '{name}', that it was fitted on, is not asked" for name in fitted if name not in asked]
    faults += [
        f"judge '{name}' has other settings than when it was fitted (version {asked[name]}, then {version})"
        for name, version in fitted.items()
        if version and asked.get(name) and asked[name] != version
    ]
    _raise(faults, where)


def check_voters(fitted: Mapping[str, str], outcomes: Sequence[JudgeOutcome], where: str) -> None:
    """See to it that everyone who has something to say was ``fitted``.

    Raises:
        UsageError: lists every judge that was not.
    """
    _raise(_strangers(fitted, dict.fromkeys(outcome.source for outcome in outcomes)), where)


def _strangers(fitted: Mapping[str, str], asked: Iterable[str]) -> list[str]:
    return [
        f"judge '{name}' was not among those it was fitted on{near_miss(name, fitted)}"
        for name in asked
        if name not in fitted
    ]


def _raise(faults: list[str], where: str) -> None:
    if faults:
        raise UsageError.of_faults(f"{where} was fitted on other judges", faults, hint=_HINT)
