"""Pairs of responses, and how those of a data set are held out."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from jurist.errors import UsageError
from jurist.files.training_data import Conversation, PreferenceRow
from jurist.records import Comparison, Message, content_id

PROVIDED_BY = "jurist-classifier"


class Pair(NamedTuple):
    """A prompt and two responses to it."""

    prompt: Conversation
    a: Conversation
    b: Conversation

    @classmethod
    def of(cls, comparison: Comparison) -> Pair:
        """The pair of a comparison."""
        a, b = (
            Message(role="assistant", content=response.text)
            for response in (comparison.response_a, comparison.response_b)
        )
        return cls(comparison.prompt.messages, (a,), (b,))


class Split(NamedTuple):
    """Preferences to learn from, to stop and calibrate by, and to measure on; no two share a prompt."""

    train: list[PreferenceRow]
    calibration: list[PreferenceRow]
    test: list[PreferenceRow]


def split_by_prompt(rows: Sequence[PreferenceRow], calibration: float, test: float, seed: int) -> Split:
    """Hold out these fractions of the prompts, at least one for each; depends on seed and prompts alone.

    Raises:
        UsageError: there are too few prompts.
    """
    drawn = {row.prompt: content_id(seed, *row.prompt) for row in rows}
    ordered = sorted(drawn, key=lambda prompt: drawn[prompt])
    calibrating, testing = (math.ceil(share * len(ordered)) for share in (calibration, test))
    if calibrating + testing >= len(ordered):
        raise UsageError(
            f"{len(ordered)} different prompts are too few: {calibrating} are held out to calibrate by and "
            f"{testing} to measure on",
            provided_by=PROVIDED_BY,
            hint="label more prompts, or lower calibration_fraction and test_fraction",
        )
    parts: dict[Conversation, int] = dict.fromkeys(ordered, 0)
    parts |= dict.fromkeys(ordered[:calibrating], 1)
    parts |= dict.fromkeys(ordered[calibrating : calibrating + testing], 2)
    split = Split([], [], [])
    for row in rows:
        split[parts[row.prompt]].append(row)
    return split
