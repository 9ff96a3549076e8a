"""Absences: how often there was no verdict, and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Literal

from jurist.validation.labelled import Vote
from jurist_validate.intervals import share
from jurist_validate.rater import Kind, Reading
from jurist_validate.report import Absences

Given = Literal["side", "tie", "abstention", "failure"]


def absences(readings: Sequence[Reading], kind: Kind) -> Absences:
    """Shares of abstentions, failures and declared ties: among a judge's votes, or another's decisions."""
    answers = [
        [_vote(vote) for vote in reading.votes] if kind == "judge" else [_decision(reading)]
        for reading in readings
    ]
    of_items = [[given for given, _ in answer] for answer in answers]
    missing = (reason for answer in answers for _, reason in answer if reason)
    return Absences(
        abstained=share([each.count("abstention") / len(each) for each in of_items]),
        failed=share([each.count("failure") / len(each) for each in of_items]),
        tied=share([each.count("tie") / len(each) for each in of_items]),
        reasons=dict(Counter(missing)),
    )


def _vote(vote: Vote) -> tuple[Given, str]:
    if vote.verdict is not None:
        return ("tie" if vote.verdict == "tie" else "side"), ""
    if vote.reason == "failure":
        return "failure", "failure"
    return "abstention", vote.reason or "unparsed"


def _decision(reading: Reading) -> tuple[Given, str]:
    if reading.preference is None:
        return "abstention", reading.reason
    return ("tie" if reading.side is None else "side"), ""
