"""SpotChecked: what people found in a sample of a stage's labels, and what that says of all of them."""

from __future__ import annotations

from collections.abc import Mapping
from statistics import fmean

from jurist.intervals import Estimate, estimate
from jurist.records import Record
from jurist.validation.corrected import Stratum, corrected_share
from jurist.validation.strata import STRATA


class CheckedStratum(Record):
    """What people found in one stratum: of ``labels`` labels, ``checked`` were looked at.

    ``claimed`` is the mean probability of being right that the jury gave all of them, ``right`` the share of
    the checked ones that people label the same; where people see a tie, half.
    """

    stratum: str
    labels: int
    checked: int
    claimed: float
    right: Estimate | None


class SpotChecked(Record):
    """What a spot check says of the labels of one stage.

    ``accuracy`` is the share of all labels that people would give too, corrected for how the sample was
    drawn; None where a stratum has no label yet. ``skipped`` counts the rows without a label,
    ``replaced`` the labels that were others before.
    """

    stage: str
    labels: int
    checked: int
    skipped: int
    replaced: int
    claimed: float
    accuracy: Estimate | None
    strata: tuple[CheckedStratum, ...]

    @classmethod
    def of(
        cls,
        stage: str,
        claims: Mapping[str, float],
        strata: Mapping[str, str],
        right: Mapping[str, float],
        *,
        skipped: int,
        replaced: int,
    ) -> SpotChecked:
        """The estimate from labels that are ``right``: 1, 0, or 0.5 for half right, by comparison.

        ``claims`` and ``strata`` have the probability and the stratum of all labels of the stage.
        """
        members = {name: [item for item, of in strata.items() if of == name] for name in STRATA}
        checked = {
            name: Stratum(
                size=len(items),
                claimed=fmean(claims[item] for item in items),
                checked=[(right[item], claims[item]) for item in items if item in right],
            )
            for name, items in members.items()
            if items
        }
        whole = all(stratum.checked for stratum in checked.values())
        return cls(
            stage=stage,
            labels=len(claims),
            checked=len(right),
            skipped=skipped,
            replaced=replaced,
            claimed=fmean(claims.values()),
            accuracy=corrected_share(list(checked.values())) if whole else None,
            strata=tuple(_found(name, stratum) for name, stratum in checked.items()),
        )


def _found(name: str, stratum: Stratum) -> CheckedStratum:
    return CheckedStratum(
        stratum=name,
        labels=stratum.size,
        checked=len(stratum.checked),
        claimed=stratum.claimed,
        right=estimate([value for value, _ in stratum.checked]) if stratum.checked else None,
    )
