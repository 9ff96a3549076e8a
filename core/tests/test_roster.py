"""How the judges that are asked differ from those that a jury is for."""

from __future__ import annotations

import pytest

from jurist.validation.roster import difference, roster_faults

ONE = "250a: both orders, average; sampled principles of 9ed3"


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("31bc: both orders, average; sampled principles of 9ed3", "other settings of the judge itself"),
        (
            "250a: adaptive orders, average below 0.9; sampled principles of 9ed3",
            "asked in adaptive orders, average below 0.9, learnt in both orders, average",
        ),
        ("250a: both orders, average; sampled principles of 77aa", "another constitution"),
        (
            "250a: both orders, average; no principles",
            "asked with no principles, learnt with sampled principles",
        ),
        (
            "31bc: one order; all principles of 77aa",
            "other settings of the judge itself; asked in one order, learnt in both orders, average; "
            "asked with all principles, learnt with sampled principles",
        ),
        (
            "31bc",
            "other settings of the judge itself; asked in orders not known, learnt in both orders, average; "
            "asked with principles not known, learnt with sampled principles",
        ),
        (ONE, ""),
    ],
)
def test_what_differs_is_named(asked, said):
    assert difference(asked, ONE) == said


def test_every_judge_that_differs_is_listed_and_the_roster_once():
    assert roster_faults(
        {"kind": "1", "strict": "", "fair": "2"}, {"kind": "3", "strct": "", "x": "", "fair": ""}
    ) == [
        "judge 'strct' is not one of the jury's; did you mean 'strict'?",
        "judge 'x' is not one of the jury's (known: fair, kind, strict)",
        "judge 'strict', one of the jury's, is not asked",
        "judge 'kind' is another than the jury's: other settings of the judge itself",
    ]
    assert roster_faults({"kind": "1", "strict": ""}, {"kind": "1", "strict": "9"}) == []
