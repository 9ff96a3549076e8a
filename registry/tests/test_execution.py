"""The closing lines of commands that spend."""

from __future__ import annotations

from typing import Any

import pytest

from jurist_registry.commands.execution import made_text

COMPARED = {
    "preferences": 53,
    "set_aside": 12,
    "responses": {"response": 200},
    "comparisons": 65,
    "decisions": {"preferred": 53, "unpaired": 35, "no_majority": 12},
    "triads": 4,
    "cycles": 1,
    "seed": 3,
    "given_up": 2,
}


@pytest.mark.parametrize(
    ("summary", "told"),
    [
        (
            COMPARED,
            "53 preferences, 65 comparisons, 1 cyclic triads, 2 calls given up, 35 unpaired, 12 no majority",
        ),
        ({"preferences": 0, "comparisons": 0, "seed": 3}, "0 preferences"),
        (
            {"prompts": 60, "revisions": 60, "ended": {"rounds": 43, "satisfied": 17}, "given_up": 0},
            "60 revisions, 60 prompts, 43 after all rounds, 17 satisfied",
        ),
        ({"metrics": {"loss": 0.25}, "seed": 3}, "loss 0.25"),
        ({"prompts": 60, "policies": {}}, "60 prompts"),
        ({"name": "x", "stage": "train"}, ""),
    ],
)
def test_counts_are_told_by_name_and_once(summary: dict[str, Any], told: str) -> None:
    assert made_text(summary) == told
