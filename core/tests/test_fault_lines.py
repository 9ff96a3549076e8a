"""Faults of input as lines for people."""

from __future__ import annotations

import pytest
from pydantic import ValidationError, field_validator

from jurist.options import Options, faults_of


class Settings(Options):
    size: int = 1
    name: str = ""

    @field_validator("name")
    @classmethod
    def _short(cls, name: str) -> str:
        if len(name) > 3:
            raise ValueError("a name has three letters at most")
        return name


@pytest.mark.parametrize(
    ("row", "line"),
    [
        ({"name": "long"}, "here.name: a name has three letters at most (given: 'long')"),
        ({"name": None}, "here.name: Input should be a valid string (given: null)"),
        ({"size": {"a": 1}}, "here.size: Input should be a valid integer"),
    ],
)
def test_a_fault_says_what_is_wrong_and_what_was_given(row, line):
    with pytest.raises(ValidationError) as caught:
        Settings.model_validate(row)
    assert faults_of(caught.value, Settings.model_fields, "here") == [line]
