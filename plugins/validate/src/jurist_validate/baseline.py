"""The longest-response baseline: whoever wrote more characters wins."""

from __future__ import annotations

from collections.abc import Sequence

from jurist.validation.labelled import LabelledItem
from jurist_validate.rater import Rater, Reading

LONGEST = "longest-response"
"""Its name in reports."""


def longest_response(items: Sequence[LabelledItem]) -> Rater | None:
    """The baseline on the items whose responses are known; None where none are.

    It prefers the response with more characters; equal ones are a tie. People like length too, so a judge
    that is no better than this has not read the responses (AlpacaEval's leaderboard prints the same).
    """
    readings = []
    for item in items:
        if item.response_a is None or item.response_b is None:
            continue
        more = len(item.response_a) - len(item.response_b)
        preference = 0.5 if more == 0 else float(more > 0)
        readings.append(Reading(item, preference, shown={"ab": preference, "ba": preference}))
    return Rater(LONGEST, "baseline", tuple(readings)) if readings else None
